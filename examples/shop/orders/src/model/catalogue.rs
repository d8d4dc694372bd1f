//! What a new shop has on its shelves.

use uuid::Uuid;

use super::Product;

const SHELVES: [(&str, i64, i64); 12] = [
    ("Adjustable spanner", 1_890, 400),
    ("Brass hinge, pair", 620, 900),
    ("Claw hammer", 2_450, 250),
    ("Drill bits, set of 13", 3_290, 150),
    ("Folding rule, 2 m", 780, 600),
    ("Hand saw", 2_790, 180),
    ("Masking tape", 390, 2_000),
    ("Paint brush, 50 mm", 540, 1_500),
    ("Sandpaper, 10 sheets", 460, 1_200),
    ("Spirit level, 60 cm", 2_980, 120),
    ("Wall plugs, box of 100", 590, 3_000),
    ("Workbench", 18_900, 3),
];

/// Products with ids that are the same in every shop.
pub(super) fn products() -> Vec<Product> {
    let first = 0x01a0_0000_0000_7000_8000_0000_0000_0001_u128;
    (first..)
        .zip(SHELVES)
        .map(|(id, (name, price, stock))| Product {
            id: Uuid::from_u128(id),
            name: name.to_owned(),
            price,
            stock,
        })
        .collect()
}
