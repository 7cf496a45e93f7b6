//! The order of keys (`sorter.go` of yaml.v2).

use std::{cmp::Ordering, iter};

use crate::config::yaml::Any;

pub(super) fn order(a: &Any, b: &Any) -> Ordering {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => match (a, b) {
            (Any::Text(a), Any::Text(b)) => texts(a, b),
            _ => Ordering::Equal,
        },
    }
}

#[expect(clippy::cast_precision_loss, reason = "for the order alone, as in Go")]
fn number(value: &Any) -> Option<f64> {
    match value {
        Any::Bool(it) => Some(f64::from(u8::from(*it))),
        Any::Int(it) => Some(*it as f64),
        Any::Uint(it) => Some(*it as f64),
        Any::Float(it) => Some(*it),
        Any::Null | Any::Text(_) | Any::List(_) | Any::Map(_) => None,
    }
}

fn texts(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.chars(), b.chars());
    let mut before = String::new();
    loop {
        let (rest_left, rest_right) = (left.clone(), right.clone());
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(one), Some(other)) if one == other => before.push(one),
            (Some(one), Some(other)) => {
                return match (one.is_alphabetic(), other.is_alphabetic()) {
                    (true, true) => one.cmp(&other),
                    (true, false) => Ordering::Greater,
                    (false, true) => Ordering::Less,
                    (false, false) => numbers(&before, rest_left.as_str(), rest_right.as_str())
                        .then_with(|| one.cmp(&other)),
                };
            }
        }
    }
}

/// By the numbers that begin here, or by their lengths. A zero within a number counts as one that does not begin with it.
fn numbers(before: &str, left: &str, right: &str) -> Ordering {
    let digits = |it: &str| -> Vec<u64> {
        let digits = it.chars().map_while(|it| it.to_digit(10));
        digits.map(u64::from).collect()
    };
    let within = (left.starts_with('0') || right.starts_with('0'))
        && before
            .chars()
            .rev()
            .take_while(char::is_ascii_digit)
            .any(|it| it != '0');
    let (left, right) = (digits(left), digits(right));
    let value = |it: &[u64]| {
        iter::once(&u64::from(within))
            .chain(it)
            .fold(0_u64, |all, it| all.wrapping_mul(10).wrapping_add(*it))
    };
    value(&left)
        .cmp(&value(&right))
        .then(left.len().cmp(&right.len()))
}
