use super::*;

pub(in super::super) fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    [&[kind, 0, 1][..], &long(payload), &[END]].concat()
}

pub(in super::super) fn long(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap();
    [&len.to_be_bytes(), bytes].concat()
}

pub(in super::super) fn short(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

pub(in super::super) fn header(flags: u16, properties: &[u8]) -> Vec<u8> {
    let payload = [
        &[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2][..],
        &flags.to_be_bytes(),
        properties,
    ];
    frame(HEADER, &payload.concat())
}

const HEADERS: u16 = 1 << 13;

/// What becomes of a frame.
fn mended(mut bytes: Vec<u8>, limit: usize) -> Vec<u8> {
    let len = bytes.len();
    match look(&mut bytes, limit) {
        Look::Frame(whole) => assert_eq!(whole, len),
        Look::Shorter(was, is) => {
            assert_eq!(was, len);
            bytes.truncate(is);
        }
        other => panic!("{other:?}"),
    }
    bytes
}

fn in_a_table(name: &[u8], kind: u8, value: &[u8]) -> Vec<u8> {
    [&short(name)[..], &[kind], value].concat()
}

#[test]
fn every_short_string_of_the_properties_is_made_utf8() {
    for place in [0, 1, 5, 6, 7, 8, 10, 11, 12, 13] {
        let flags = 0x8000 >> place;
        let good = header(flags, &short("café".as_bytes()));
        assert_eq!(mended(good.clone(), 4096), good);
        let bad = header(flags, &short(b"caf\xe9 \xf0\x9f"));
        assert_eq!(mended(bad, 4096), header(flags, &short(b"caf? ??")));
    }
    let all = |text: &[u8]| {
        let (text, table) = (short(text), long(&in_a_table(text, b'V', b"")));
        let properties = [
            &text[..],
            &text,
            &table,
            &[2],
            &[9],
            &text,
            &text,
            &text,
            &text,
            &[0xff; 8],
            &text,
            &text,
            &text,
            &text,
        ];
        header(0xfffc, &properties.concat())
    };
    assert_eq!(mended(all(&[0xff; 9]), 4096), all(b"?????????"));
}

#[test]
fn names_in_tables_are_made_utf8_and_values_stay() {
    let value = long(b"\xff");
    for wrap in [0, 1, 2] {
        let table = |name: &[u8]| {
            let inner = in_a_table(name, b'S', &value);
            let entries = match wrap {
                0 => inner,
                1 => in_a_table(name, b'F', &long(&inner)),
                _ => {
                    let array = [&b"tF"[..1], &[7], b"F", &long(&inner)].concat();
                    in_a_table(name, b'A', &long(&array))
                }
            };
            header(HEADERS, &long(&entries))
        };
        assert_eq!(mended(table(b"a\xe9"), 4096), table(b"a?"));
    }
}

#[test]
fn tables_that_are_nested_too_deeply_become_bytes() {
    for kind in [b'F', b'A'] {
        let mut entries = Vec::new();
        for _ in 0..20_000 {
            entries = match kind {
                b'F' => in_a_table(b"", kind, &long(&entries)),
                _ => [&[kind][..], &long(&entries)].concat(),
            };
        }
        if kind == b'A' {
            entries = in_a_table(b"", kind, &long(&entries));
        }
        let before = header(HEADERS, &long(&entries));
        let after = mended(before.clone(), usize::MAX);
        let different: Vec<_> = (0..before.len())
            .filter(|at| before[*at] != after[*at])
            .collect();
        assert_eq!(different.len(), 1);
        assert_eq!(after[different[0]], b'x');
    }
}

#[test]
fn properties_that_cannot_be_read_are_left_out() {
    let bare = header(0, b"");
    let unknown = long(&in_a_table(b"a", b'Z', b"1"));
    let lies = long(&in_a_table(b"a", b'S', &[0, 0, 1, 0, b'x']));
    for (flags, properties) in [
        (HEADERS, &unknown[..]),
        (HEADERS, &lies),
        (HEADERS, &[0, 0, 1, 0]),
        (0x8000, &[9, b'x']),
        (0x8000, b""),
        (0, b"trailing"),
    ] {
        assert_eq!(mended(header(flags, properties), 4096), bare);
    }
    // Deeper down only the table that cannot be read suffers.
    let outer = |kind, inner: &[u8]| header(HEADERS, &long(&in_a_table(b"a", kind, inner)));
    assert_eq!(mended(outer(b'F', &lies), 4096), outer(b'x', &lies));
    // Readable, but beyond what the driver takes.
    let large = header(
        HEADERS,
        &long(&in_a_table(b"a", b'S', &long(&[b'x'; 5000]))),
    );
    assert_eq!(mended(large.clone(), 6000), large);
    assert_eq!(mended(large, 4096), bare);
}

#[test]
fn names_and_texts_in_methods_are_made_utf8() {
    let deliver = |text: &[u8]| {
        let text = short(text);
        frame(
            METHOD,
            &[&[0, 60, 0, 60], &text[..], &[7; 9], &text, &text].concat(),
        )
    };
    let got = |text: &[u8]| {
        let text = short(text);
        let payload = [&[0, 60, 0, 71], &[7; 9][..], &text, &text, &[0; 4]];
        frame(METHOD, &payload.concat())
    };
    let returned = |text: &[u8]| {
        let text = short(text);
        frame(
            METHOD,
            &[&[0, 60, 0, 50, 1, 56], &text[..], &text, &text].concat(),
        )
    };
    let closed = |text: &[u8]| {
        frame(
            METHOD,
            &[&[0, 20, 0, 40, 1, 56], &short(text)[..], &[0; 4]].concat(),
        )
    };
    for method in [
        &deliver as &dyn Fn(&[u8]) -> Vec<u8>,
        &got,
        &returned,
        &closed,
    ] {
        assert_eq!(mended(method(b"a\xffb"), 4096), method(b"a?b"));
    }
    // Nothing else is touched, whatever it looks like.
    let other = frame(METHOD, &[0, 60, 0, 80, 0xff, 0xff]);
    assert_eq!(mended(other.clone(), 4096), other);
}

#[test]
fn what_is_no_frame_is_left_to_the_driver() {
    assert_eq!(
        look(&mut b"AMQP\0\0\x09\x01".to_owned(), 4096),
        Look::Unknown
    );
    let mut no_end = header(0, b"");
    *no_end.last_mut().unwrap() = 0;
    assert_eq!(look(&mut no_end, 4096), Look::Unknown);
    assert_eq!(look(&mut frame(HEADER, b"short"), 4096), Look::Unknown);
    assert_eq!(look(&mut frame(BODY, b"\xff"), 4096), Look::Passed(9));
    assert_eq!(look(&mut frame(HEARTBEAT, b""), 4096), Look::Passed(8));
}

proptest::proptest! {
    /// Whatever comes, it ends, and what was mended once is not changed again.
    #[test]
    fn any_properties_are_mended_once(flags: u16, bytes: Vec<u8>) {
        let once = mended(header(flags, &bytes), 4096);
        proptest::prop_assert_eq!(mended(once.clone(), 4096), once);
    }
}
