//! The store's statements. Each file says what it is for and why it is so.

pub(super) const SESSION: &str = include_str!("sql/session.sql");
pub(super) const RENEW: &str = include_str!("sql/renew.sql");
pub(super) const CENSUS: &str = include_str!("sql/census.sql");
pub(super) const ACQUIRE: &str = include_str!("sql/acquire.sql");
pub(super) const RELEASE: &str = include_str!("sql/release.sql");
pub(super) const RETIRE: &str = include_str!("sql/retire.sql");
pub(super) const FETCH: &str = include_str!("sql/fetch.sql");
pub(super) const DUE: &str = include_str!("sql/due.sql");
pub(super) const BLOCKED: &str = include_str!("sql/blocked.sql");
pub(super) const OF_INSTANCES: &str = include_str!("sql/of_instances.sql");
pub(super) const SETTLE: &str = include_str!("sql/settle.sql");
pub(super) const BACKLOG: &str = include_str!("sql/backlog.sql");
pub(super) const DEAD_LIST: &str = include_str!("sql/dead_list.sql");
pub(super) const DEAD_SHOW: &str = include_str!("sql/dead_show.sql");
pub(super) const DEAD_PAGE: &str = include_str!("sql/dead_page.sql");
pub(super) const DEAD_LOCK: &str = include_str!("sql/dead_lock.sql");
pub(super) const DEAD_TAKE: &str = include_str!("sql/dead_take.sql");
pub(super) const DEAD_RETURN: &str = include_str!("sql/dead_return.sql");
pub(super) const DEAD_DISCARD: &str = include_str!("sql/dead_discard.sql");
pub(super) const DEAD_DISCARD_ALL: &str = include_str!("sql/dead_discard_all.sql");
