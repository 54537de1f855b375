//! Payloads of both messages through the format, as the intake decodes them.

mod labels;
mod samples;
mod histograms;
mod exemplars;
mod bad_input;
mod random;
mod captures;
