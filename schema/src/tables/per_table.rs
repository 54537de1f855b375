//! A value for each table, found without a search.

use std::ops::{Index, IndexMut};

use super::Table;

/// One value per table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PerTable<T>([T; Table::ALL.len()]);

impl<T> PerTable<T> {
    pub fn of(value: impl FnMut(Table) -> T) -> Self {
        PerTable(Table::ALL.map(value))
    }

    pub fn map<U>(self, change: impl FnMut(T) -> U) -> PerTable<U> {
        PerTable(self.0.map(change))
    }

    /// Each table with its value, in the order of [`Table::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Table, &T)> {
        Table::ALL.into_iter().zip(&self.0)
    }
}

impl<T> From<[T; Table::ALL.len()]> for PerTable<T> {
    /// Values in the order of [`Table::ALL`].
    fn from(values: [T; Table::ALL.len()]) -> Self {
        PerTable(values)
    }
}

impl<T> Index<Table> for PerTable<T> {
    type Output = T;

    fn index(&self, table: Table) -> &T {
        &self.0[table.index()]
    }
}

impl<T> IndexMut<Table> for PerTable<T> {
    fn index_mut(&mut self, table: Table) -> &mut T {
        &mut self.0[table.index()]
    }
}
