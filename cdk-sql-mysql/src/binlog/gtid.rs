//! Global transaction ids: MariaDB's last id of each domain, MySQL's set of intervals.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::event::BadEvent;
use super::reader::Reader;
use crate::wire::Flavor;

/// All transactions up to a position, by their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GtidSet {
    /// By domain: the last transaction's server and number.
    MariaDb(BTreeMap<u32, (u32, u64)>),
    /// By source: intervals of numbers, first and last, in order and apart.
    MySql(BTreeMap<[u8; 16], Vec<(u64, u64)>>),
}

/// The id of one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gtid {
    MariaDb {
        domain: u32,
        server: u32,
        number: u64,
        is_standalone: bool,
    },
    MySql {
        source: [u8; 16],
        number: u64,
    },
}

impl GtidSet {
    /// Reads the server's text. `None` for what is not known here (tagged ids of MySQL 8.3 and later).
    pub fn parse(text: &str, flavor: Flavor) -> Option<Self> {
        let items = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        match flavor {
            Flavor::MariaDb => {
                let id = |item: &str| {
                    let mut parts = item.splitn(3, '-');
                    let domain = parts.next()?.parse().ok()?;
                    Some((
                        domain,
                        (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?),
                    ))
                };
                items.map(id).collect::<Option<_>>().map(Self::MariaDb)
            }
            Flavor::MySql => {
                let mut sources = BTreeMap::new();
                for item in items {
                    let (source, intervals) = item.split_once(':')?;
                    let intervals: Option<Vec<_>> = intervals.split(':').map(interval).collect();
                    sources.insert(uuid(source)?, intervals?);
                }
                Some(Self::MySql(sources))
            }
        }
    }

    /// True when no transaction is in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::MariaDb(domains) => domains.is_empty(),
            Self::MySql(sources) => sources.is_empty(),
        }
    }

    /// Whether all transactions of `other` are in it.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::MariaDb(domains), Self::MariaDb(others)) => {
                others.iter().all(|(domain, (_, number))| {
                    domains.get(domain).is_some_and(|(_, last)| last >= number)
                })
            }
            (Self::MySql(sources), Self::MySql(others)) => {
                others.iter().all(|(source, intervals)| {
                    let have = sources.get(source).map(Vec::as_slice).unwrap_or_default();
                    let is_in = |(first, last): &(u64, u64)| {
                        have.iter().any(|(from, to)| from <= first && last <= to)
                    };
                    intervals.iter().all(is_in)
                })
            }
            _ => false,
        }
    }

    /// Adds a transaction.
    pub(crate) fn add(&mut self, gtid: Gtid) {
        match (self, gtid) {
            (
                Self::MariaDb(domains),
                Gtid::MariaDb {
                    domain,
                    server,
                    number,
                    ..
                },
            ) => {
                domains.insert(domain, (server, number));
            }
            (Self::MySql(sources), Gtid::MySql { source, number }) => {
                add_number(sources.entry(source).or_default(), number);
            }
            // A server does not change its kind within a log.
            _ => {}
        }
    }

    /// The form in which MySQL's protocol wants it.
    pub(crate) fn encoded(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Self::MySql(sources) = self else {
            return bytes;
        };
        bytes.extend((sources.len() as u64).to_le_bytes());
        for (source, intervals) in sources {
            bytes.extend(source);
            bytes.extend((intervals.len() as u64).to_le_bytes());
            for (first, last) in intervals {
                bytes.extend(first.to_le_bytes());
                // One past the last.
                bytes.extend((last + 1).to_le_bytes());
            }
        }
        bytes
    }
}

impl std::fmt::Display for GtidSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::MariaDb(domains) => {
                let ids = domains
                    .iter()
                    .map(|(domain, (server, number))| format!("{domain}-{server}-{number}"));
                f.write_str(&ids.collect::<Vec<_>>().join(","))
            }
            Self::MySql(sources) => {
                let mut items = Vec::new();
                for (source, intervals) in sources {
                    let mut item = uuid_text(source);
                    for (first, last) in intervals {
                        match first == last {
                            true => write!(item, ":{first}")?,
                            false => write!(item, ":{first}-{last}")?,
                        }
                    }
                    items.push(item);
                }
                f.write_str(&items.join(","))
            }
        }
    }
}

impl Gtid {
    /// The id in MariaDB's GTID event.
    pub(crate) fn mariadb(body: &[u8], server: u32) -> Result<Self, BadEvent> {
        let mut reader = Reader::new(body);
        let id = (|| {
            let (number, domain, flags) = (reader.u64()?, reader.u32()?, reader.u8()?);
            Some(Self::MariaDb {
                domain,
                server,
                number,
                is_standalone: flags & 1 == 1,
            })
        })();
        id.ok_or(BadEvent("a GTID event is cut off"))
    }

    /// The id in MySQL's GTID event.
    pub(crate) fn mysql(body: &[u8]) -> Result<Self, BadEvent> {
        let mut reader = Reader::new(body);
        let id = (|| {
            reader.skip(1)?;
            let source = reader.take(16)?.try_into().ok()?;
            Some(Self::MySql {
                source,
                number: reader.u64()?,
            })
        })();
        id.ok_or(BadEvent("a GTID event is cut off"))
    }
}

fn add_number(intervals: &mut Vec<(u64, u64)>, number: u64) {
    let at = intervals.partition_point(|(first, _)| *first <= number);
    let before = at.checked_sub(1).and_then(|at| intervals.get_mut(at));
    match before {
        Some((_, last)) if number <= *last => return,
        Some((_, last)) if *last + 1 == number => *last = number,
        _ => {
            intervals.insert(at, (number, number));
            return join(intervals, at);
        }
    }
    join(intervals, at - 1);
}

/// Joins the interval at `at` with the next one if they touch.
fn join(intervals: &mut Vec<(u64, u64)>, at: usize) {
    let pair = intervals
        .get(at)
        .zip(intervals.get(at + 1))
        .map(|(one, next)| (*one, *next));
    if let Some(((first, last), (next_first, next_last))) = pair
        && last + 1 == next_first
    {
        intervals.splice(at..at + 2, [(first, next_last)]);
    }
}

fn interval(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text
        .trim()
        .split_once('-')
        .unwrap_or((text.trim(), text.trim()));
    Some((first.parse().ok()?, last.parse().ok()?))
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.trim().chars().filter(|char| *char != '-').collect();
    (digits.len() == 32).then_some(())?;
    u128::from_str_radix(&digits, 16)
        .ok()
        .map(u128::to_be_bytes)
}

fn uuid_text(uuid: &[u8; 16]) -> String {
    let mut text = format!("{:032x}", u128::from_be_bytes(*uuid));
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn the_texts_of_both_servers_come_back() {
        let cases = [
            (Flavor::MariaDb, "0-1-17,5-2-9".to_owned()),
            (Flavor::MySql, format!("{SOURCE}:1-5:7")),
            (Flavor::MySql, String::new()),
        ];
        for (flavor, text) in cases {
            assert_eq!(GtidSet::parse(&text, flavor).unwrap().to_string(), text);
        }
        assert_eq!(
            GtidSet::parse(&format!("{SOURCE}:tag:1-5"), Flavor::MySql),
            None
        );
        assert_eq!(GtidSet::parse("0-1", Flavor::MariaDb), None);
    }

    #[test]
    fn added_transactions_close_gaps() {
        let mut set = GtidSet::parse(&format!("{SOURCE}:1-2"), Flavor::MySql).unwrap();
        let source = uuid(SOURCE).unwrap();
        for number in [4, 4, 6, 5, 3] {
            set.add(Gtid::MySql { source, number });
        }
        assert_eq!(set.to_string(), format!("{SOURCE}:1-6"));
        set.add(Gtid::MySql { source, number: 9 });
        assert_eq!(set.to_string(), format!("{SOURCE}:1-6:9"));
    }

    #[test]
    fn a_set_covers_its_parts_and_no_later_transaction() {
        let set = |text: &str, flavor| GtidSet::parse(text, flavor).unwrap();
        let mysql = set(&format!("{SOURCE}:1-9:20"), Flavor::MySql);
        assert!(mysql.covers(&set(&format!("{SOURCE}:3-4:20"), Flavor::MySql)));
        assert!(!mysql.covers(&set(&format!("{SOURCE}:9-10"), Flavor::MySql)));
        let maria = set("0-1-9", Flavor::MariaDb);
        assert!(maria.covers(&set("0-2-9", Flavor::MariaDb)));
        assert!(!maria.covers(&set("0-1-10", Flavor::MariaDb)));
        assert!(!maria.covers(&set("1-1-1", Flavor::MariaDb)));
    }

    #[test]
    fn the_request_counts_sources_and_intervals_and_ends_behind_the_last() {
        let set = GtidSet::parse(&format!("{SOURCE}:1-5"), Flavor::MySql).unwrap();
        let mut expected = 1_u64.to_le_bytes().to_vec();
        expected.extend(uuid(SOURCE).unwrap());
        expected.extend([1_u64, 1, 6].map(u64::to_le_bytes).concat());
        assert_eq!(set.encoded(), expected);
    }

    /// The body of a GTID_LOG_EVENT as MySQL 8.0 writes it: flags, source, number, logical clock.
    #[test]
    fn an_event_of_mysql_names_its_transaction() {
        let mut body = vec![1];
        body.extend(uuid(SOURCE).unwrap());
        body.extend(23_u64.to_le_bytes());
        body.extend([2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        let expected = Gtid::MySql {
            source: uuid(SOURCE).unwrap(),
            number: 23,
        };
        assert_eq!(Gtid::mysql(&body), Ok(expected));
        assert!(Gtid::mysql(&body[..20]).is_err());
    }
}
