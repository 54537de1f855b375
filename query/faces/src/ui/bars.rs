//! Counts as bars in bands, each bar a link to what it counts: requests and lines over time, traces by duration.
//!
//! The drawing is for eyes and pointers; the same numbers and links stand in a table below it, for keyboards and screen readers,
//! which a hundred links without words would only hold up.

use maud::{Markup, html};

use super::asked::Asked;
use super::format;
use super::shell::{cell, number, table, text};

/// Sizes in drawing units; the drawing is stretched to its place.
const WIDTH: f64 = 1_200.0;
const HEIGHT: f64 = 100.0;

/// The least height of a band that is there, so that one failed request among thousands is seen.
const BAND_MIN: f64 = 2.0;

/// One bar.
pub struct Bar {
    /// What it is about: a time, a duration.
    pub name: String,
    pub href: String,
    /// By band.
    pub counts: Vec<u64>,
}

/// Bars side by side.
pub struct Bars<'a> {
    pub title: &'a str,
    pub meaning: &'a str,
    /// What a bar's name is.
    pub of: &'a str,
    /// The bands from the bottom on: name and class of each.
    pub bands: Vec<(&'a str, &'a str)>,
    pub bars: Vec<Bar>,
    /// What is told below the first, the middle and the last bar.
    pub ends: [Markup; 3],
    /// Parameters of the bars' addresses that say where a bar begins and ends.
    pub range: [&'a str; 2],
}

impl Bars<'_> {
    /// Draws them, and says them.
    pub fn draw(&self, asked: &Asked) -> Markup {
        let words = &asked.words().explore;
        let top = self.bars.iter().map(|bar| bar.counts.iter().sum::<u64>()).max().unwrap_or_default().max(1);
        let wide = WIDTH / self.bars.len().max(1) as f64;
        let [from, middle, to] = &self.ends;
        html! {
            figure class="bars" {
                figcaption {
                    (self.title)
                    @for (band, (name, class)) in self.bands.iter().enumerate() {
                        @if self.sum(band) > 0 { span class={ "key " (class) } {} (name) " " (format::count(self.sum(band) as f64)) }
                    }
                }
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" aria-hidden="true"
                    data-brush={ (self.range[0]) " " (self.range[1]) } {
                    @for (at, bar) in self.bars.iter().enumerate() {
                        a href=(bar.href) tabindex="-1" {
                            title { (bar.name) ": " (self.told(bar)) }
                            rect class="ground" x=(units(at as f64 * wide)) y="0" width=(units(wide)) height=(HEIGHT) {}
                            @for (class, y, height) in self.bands_of(bar, top) {
                                rect class=(class) x=(units(at as f64 * wide + wide * 0.08)) y=(units(y))
                                    width=(units(wide * 0.84)) height=(units(height)) {}
                            }
                        }
                    }
                }
                p class="ends" aria-hidden="true" { span { (from) } span { (middle) } span { (to) } }
                details {
                    summary { (words.as_a_table) span class="hint" { " · " (self.meaning) } }
                    (self.table())
                }
            }
        }
    }

    fn sum(&self, band: usize) -> u64 {
        self.bars.iter().filter_map(|bar| bar.counts.get(band)).sum()
    }

    fn told(&self, bar: &Bar) -> String {
        let bands = self.bands.iter().zip(&bar.counts).filter(|(_, count)| **count > 0);
        let told: Vec<String> = bands.map(|((name, _), count)| format!("{count} {name}")).collect();
        if told.is_empty() { "0".to_owned() } else { told.join(", ") }
    }

    /// Class, top and height of each band that is there.
    fn bands_of(&self, bar: &Bar, top: u64) -> Vec<(&str, f64, f64)> {
        let mut y = HEIGHT;
        let bands = self.bands.iter().zip(&bar.counts).filter(|(_, count)| **count > 0);
        bands
            .map(|((_, class), count)| {
                let height = (HEIGHT * *count as f64 / top as f64).max(BAND_MIN).min(y);
                y -= height;
                (*class, y, height)
            })
            .collect()
    }

    fn table(&self) -> Markup {
        let bands: Vec<usize> = (0..self.bands.len()).filter(|band| self.sum(*band) > 0).collect();
        let mut columns = vec![text(self.of)];
        columns.extend(bands.iter().map(|band| number(self.bands[*band].0)));
        let counted = self.bars.iter().filter(|bar| bar.counts.iter().any(|count| *count > 0));
        let rows: Vec<(&str, Vec<Markup>)> = counted
            .map(|bar| {
                let mut cells = vec![html! { a href=(bar.href) { (bar.name) } }];
                cells.extend(bands.iter().map(|band| cell(&format::count(bar.counts[*band] as f64))));
                ("", cells)
            })
            .collect();
        table(self.title, &columns, &rows)
    }
}

fn units(value: f64) -> String {
    format!("{value:.2}")
}

#[cfg(test)]
mod tests {
    use maud::PreEscaped;

    use super::*;

    /// Bands stand on one another, from the bottom: of 100 units 75 and 25; of 1,000 one is seen although it is a tenth of a unit.
    #[test]
    fn bands_stand_on_one_another_and_are_seen() {
        let bar =
            |counts: [u64; 2]| Bar { name: String::new(), href: String::new(), counts: counts.to_vec() };
        let bars = Bars {
            title: "",
            meaning: "",
            of: "",
            bands: vec![("ok", "good"), ("error", "bad")],
            bars: vec![bar([3, 1]), bar([999, 1]), bar([0, 0])],
            ends: [const { PreEscaped(String::new()) }; 3],
            range: ["from", "to"],
        };
        assert_eq!(bars.bands_of(&bars.bars[0], 4), [("good", 25.0, 75.0), ("bad", 0.0, 25.0)]);
        let [(_, _, tall), (_, y, low)] = bars.bands_of(&bars.bars[1], 1_000)[..] else {
            panic!("two bands")
        };
        assert!((tall - 99.9).abs() < 1e-9 && y >= 0.0 && low > 0.0);
        assert_eq!(bars.bands_of(&bars.bars[2], 4), []);
        assert_eq!(bars.told(&bars.bars[0]), "3 ok, 1 error");
        assert_eq!((bars.told(&bars.bars[2]), bars.sum(1)), ("0".to_owned(), 2));
    }
}
