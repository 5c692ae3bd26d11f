//! The dashboard's own files, compiled in.

use crate::http::call::Call;
use crate::http::docs::file;
use crate::http::route::Answer;

/// The style.
pub(crate) async fn style(_call: Call) -> Answer {
    Ok(file("text/css; charset=utf-8", include_bytes!("../../../assets/style.css")))
}

/// Live updates.
pub(crate) async fn live(_call: Call) -> Answer {
    Ok(file("text/javascript; charset=utf-8", include_bytes!("../../../assets/live.js")))
}

/// Copying of lines.
pub(crate) async fn copy(_call: Call) -> Answer {
    Ok(file("text/javascript; charset=utf-8", include_bytes!("../../../assets/copy.js")))
}

/// The icon.
pub(crate) async fn icon(_call: Call) -> Answer {
    Ok(file("image/svg+xml", include_bytes!("../../../assets/icon.svg")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    const STYLE: &str = include_str!("../../../assets/style.css");
    const GROUNDS: [&str; 3] = ["ground", "panel", "hover"];

    /// The colours of a table of tokens: those up to the end of its block.
    fn tokens(text: &str) -> BTreeMap<&str, [f64; 3]> {
        let block = text.split('}').next().unwrap_or_default();
        let pairs = block.split("--").skip(1).filter_map(|part| part.split_once(": #"));
        pairs
            .map(|(name, rest)| {
                let part = |at: usize| {
                    let byte = u8::from_str_radix(&rest[at..at + 2], 16).expect("a colour");
                    let share = f64::from(byte) / 255.0;
                    if share <= 0.04045 {
                        share / 12.92
                    } else {
                        ((share + 0.055) / 1.055).powf(2.4)
                    }
                };
                (name, [part(0), part(2), part(4)])
            })
            .collect()
    }

    fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
        let light = |c: [f64; 3]| 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2] + 0.05;
        let (a, b) = (light(a), light(b));
        a.max(b) / a.min(b)
    }

    #[test]
    fn every_text_stands_out_from_its_ground() {
        let light = STYLE.split(":root {").nth(1).expect("the light table");
        let dark = STYLE.split(":root {").nth(2).expect("the dark table");
        for (table, text) in [("light", light), ("dark", dark)] {
            let tokens = tokens(text);
            assert!(tokens.len() > 20, "{table}: {} tokens found", tokens.len());
            let mut pairs: Vec<(String, String)> = Vec::new();
            for tone in ["bad", "warn", "info", "good", "strong", "mute"] {
                pairs.push((tone.into(), format!("{tone}-back")));
            }
            for ground in GROUNDS {
                for ink in ["ink", "soft", "accent", "warn", "bad", "good"] {
                    pairs.push((ink.into(), ground.into()));
                }
            }
            for heat in 1..=4 {
                pairs.push(("ink".into(), format!("heat-{heat}")));
            }
            pairs.push(("on-accent".into(), "accent".into()));
            pairs.push(("soft".into(), "mute-back".into()));
            pairs.push(("ink".into(), "mute-back".into()));
            for (ink, ground) in pairs {
                let seen = contrast(tokens[ink.as_str()], tokens[ground.as_str()]);
                assert!(seen >= 4.5, "{table}: {ink} on {ground} has a contrast of {seen:.2}");
            }
        }
    }
}
