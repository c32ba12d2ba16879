//! Reading documents field by field.

use bytes::Bytes;
use mongodb::bson::{Binary, Bson, DateTime, Document, spec::BinarySubtype};
use polylog_log::{Chain, Failure, Point, Position, Term};
use uuid::Uuid;

/// A document, and what it is, for messages.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    what: &'static str,
    document: &'a Document,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(what: &'static str, document: &'a Document) -> Self {
        Self { what, document }
    }

    fn damaged(&self, field: &str) -> Failure {
        let found =
            self.document.get(field).map_or("missing".into(), |found| format!("{:?}", found.element_type()));
        Failure::Damaged(format!("{}: field {field} is {found}", self.what))
    }

    fn get(&self, field: &str) -> Option<&'a Bson> {
        self.document.get(field).filter(|found| !matches!(found, Bson::Null))
    }

    pub(crate) fn signed(&self, field: &str) -> Result<i64, Failure> {
        match self.get(field) {
            Some(Bson::Int64(number)) => Ok(*number),
            Some(Bson::Int32(number)) => Ok(i64::from(*number)),
            _ => Err(self.damaged(field)),
        }
    }

    pub(crate) fn number(&self, field: &str) -> Result<u64, Failure> {
        u64::try_from(self.signed(field)?).map_err(|_| self.damaged(field))
    }

    pub(crate) fn text(&self, field: &str) -> Result<&'a str, Failure> {
        self.optional_text(field)?.ok_or_else(|| self.damaged(field))
    }

    pub(crate) fn optional_text(&self, field: &str) -> Result<Option<&'a str>, Failure> {
        match self.get(field) {
            None => Ok(None),
            Some(Bson::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.damaged(field)),
        }
    }

    pub(crate) fn optional_blob(&self, field: &str) -> Result<Option<Bytes>, Failure> {
        Ok(self.binary(field)?.map(|binary| Bytes::copy_from_slice(&binary.bytes)))
    }

    fn binary(&self, field: &str) -> Result<Option<&'a Binary>, Failure> {
        match self.get(field) {
            None => Ok(None),
            Some(Bson::Binary(binary)) => Ok(Some(binary)),
            Some(_) => Err(self.damaged(field)),
        }
    }

    pub(crate) fn optional_bytes<const N: usize>(&self, field: &str) -> Result<Option<[u8; N]>, Failure> {
        let Some(binary) = self.binary(field)? else { return Ok(None) };
        binary.bytes.as_slice().try_into().map(Some).map_err(|_| self.damaged(field))
    }

    pub(crate) fn bytes<const N: usize>(&self, field: &str) -> Result<[u8; N], Failure> {
        self.optional_bytes(field)?.ok_or_else(|| self.damaged(field))
    }

    pub(crate) fn optional_uuid(&self, field: &str) -> Result<Option<Uuid>, Failure> {
        Ok(self.optional_bytes(field)?.map(Uuid::from_bytes))
    }

    pub(crate) fn uuid(&self, field: &str) -> Result<Uuid, Failure> {
        self.bytes(field).map(Uuid::from_bytes)
    }

    pub(crate) fn inner(&self, field: &str) -> Result<Fields<'a>, Failure> {
        self.optional_inner(field)?.ok_or_else(|| self.damaged(field))
    }

    pub(crate) fn optional_inner(&self, field: &str) -> Result<Option<Fields<'a>>, Failure> {
        match self.get(field) {
            None => Ok(None),
            Some(Bson::Document(document)) => Ok(Some(Self { what: self.what, document })),
            Some(_) => Err(self.damaged(field)),
        }
    }

    pub(crate) fn documents(&self, field: &str) -> Result<Vec<&'a Document>, Failure> {
        let Some(Bson::Array(array)) = self.get(field) else { return Err(self.damaged(field)) };
        array.iter().map(|element| element.as_document().ok_or_else(|| self.damaged(field))).collect()
    }

    pub(crate) fn point(&self, field: &str) -> Result<Point, Failure> {
        let point = self.inner(field)?;
        Ok(Point {
            position: Position::new(point.number("position")?),
            term: Term::new(point.number("term")?),
            chain: Chain::from_bytes(point.bytes("chain")?),
        })
    }
}

/// A number of ours: all are below 2^53.
pub(crate) fn number(number: u64) -> Bson {
    Bson::Int64(number.cast_signed())
}

pub(crate) fn binary(bytes: &[u8]) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() })
}

pub(crate) fn uuid(uuid: Uuid) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: uuid.as_bytes().to_vec() })
}

pub(crate) fn optional(value: Option<impl Into<Bson>>) -> Bson {
    value.map_or(Bson::Null, Into::into)
}

/// In the database's own type, which knows milliseconds.
pub(crate) fn date(micros: i64) -> Bson {
    Bson::DateTime(DateTime::from_millis(micros.div_euclid(1_000)))
}

pub(crate) fn point(point: &Point) -> Bson {
    let Point { position, term, chain } = point;
    let mut document = Document::new();
    document.insert("position", number(position.get()));
    document.insert("term", number(term.get()));
    document.insert("chain", binary(chain.as_bytes()));
    Bson::Document(document)
}
