//! What the bits of a 32-bit code say, for codes that no catalogue knows. Decodes; never guesses.

use serde::Serialize;

use super::{FailureCode, ntstatus, win32};
use crate::knowledge::Lang;

/// The parts of a 32-bit code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decoded {
    /// Whether it says failure (bit 31).
    pub severity_failure: bool,
    /// Whether it carries an NTSTATUS: wrapped (bit 28) or bare (`0xC000....`).
    pub ntstatus: bool,
    /// Whether a vendor other than Microsoft defined it (bit 29).
    pub customer: bool,
    /// The facility, bits 26 to 16.
    pub facility: u16,
    /// What the facility is called, where known.
    pub facility_name: Option<&'static str>,
    /// The low 16 bits.
    pub code: u16,
    /// The Win32 error, for facility 7.
    pub win32: Option<u16>,
    /// The HTTP status, for facility 0x19 and for update codes that stand for one.
    pub http_status: Option<u16>,
    /// The NTSTATUS without its wrapper, where it carries one.
    #[serde(skip)]
    pub status: Option<u32>,
    /// All of it in words.
    pub words: String,
}

/// Takes a code apart, in the words of a language.
pub fn decode(value: u32, lang: Lang) -> Decoded {
    let bit = |n: u32| value & (1 << n) != 0;
    let low = (value & 0xFFFF) as u16;
    let facility = ((value >> 16) & 0x7FF) as u16;
    let upgrade = value >> 20 == 0xC19;
    let wrapped_nt = bit(28) && !upgrade;
    let bare_nt = !wrapped_nt && value >> 16 == 0xC000;
    let name = if upgrade {
        Some(match lang {
            Lang::En => "MOSETUP (Windows setup and upgrade)",
            Lang::Ru => "MOSETUP (установка и обновление версии Windows)",
        })
    } else if wrapped_nt || bare_nt {
        Some(match lang {
            Lang::En => "NTSTATUS (the kernel)",
            Lang::Ru => "NTSTATUS (ядро)",
        })
    } else {
        facility_name(facility, low, bit(30), lang)
    };
    let plain = !upgrade && !wrapped_nt && !bare_nt && bit(31) && !bit(30);
    let win32 = (plain && facility == 7).then_some(low);
    let status = (wrapped_nt || bare_nt).then_some(value & !0x1000_0000);
    let own_http = (plain && facility == 0x19).then_some(low).filter(|s| is_http(*s));
    let http_status = own_http.or_else(|| update_http(value));
    let mut decoded = Decoded {
        severity_failure: FailureCode::is_failing(value),
        ntstatus: wrapped_nt || bare_nt,
        customer: bit(29),
        facility,
        facility_name: name,
        code: low,
        win32,
        http_status,
        status,
        words: String::new(),
    };
    decoded.words = words(value, &decoded, upgrade, status, lang);
    decoded
}

const fn is_http(status: u16) -> bool {
    matches!(status, 100..=599)
}

fn words(value: u32, d: &Decoded, upgrade: bool, status: Option<u32>, lang: Lang) -> String {
    let say = |en: &'static str, ru: &'static str| if lang == Lang::En { en } else { ru };
    let outcome = if d.severity_failure {
        say("failure", "сбой")
    } else {
        say("no failure", "не сбой")
    };
    if let Some(code) = d.win32 {
        let error = say("Win32 error", "ошибка Win32");
        return match win32::text(code, lang) {
            Some((symbol, text)) => format!("{outcome}: {error} {code} ({symbol}): {text}"),
            None => match win32::range(code, lang) {
                Some(range) => format!("{outcome}: {error} {code}, {} {range}", say("of", "из")),
                None => format!("{outcome}: {error} {code}"),
            },
        };
    }
    if let Some(http) = d.http_status {
        let meaning = http_words(http, lang).map(|w| format!(" ({w})")).unwrap_or_default();
        return format!("{outcome}: {} {http}{meaning}", say("HTTP status", "статус HTTP"));
    }
    if let Some(status) = status {
        let named = ntstatus::text(status, lang)
            .map(|(symbol, text)| format!(" ({symbol}): {text}"))
            .unwrap_or_default();
        return format!("{outcome}: NTSTATUS 0x{status:08X}{named}");
    }
    let vendor = if d.customer {
        say(
            ", defined by a vendor other than Microsoft",
            "; определён не Microsoft, а другим производителем",
        )
    } else {
        ""
    };
    match d.facility_name {
        Some(name) if upgrade => {
            format!("{outcome}: {} 0x{:05X}: {name}", say("code", "код"), value & 0xF_FFFF)
        }
        Some(name) => format!("{outcome}: {} 0x{:04X}: {name}{vendor}", say("code", "код"), d.code),
        None => format!(
            "{outcome}: {} 0x{:04X}, {} 0x{:X}{vendor}",
            say("code", "код"),
            d.code,
            say("unknown facility", "неизвестная подсистема"),
            d.facility
        ),
    }
}

/// What a server means by an HTTP status, for those that updates meet.
const fn http_words(status: u16, lang: Lang) -> Option<&'static str> {
    let (en, ru) = match status {
        400 => ("the server did not understand the request", "сервер не понял запрос"),
        401 => ("the server wants a log-in", "сервер требует входа"),
        403 => ("the server refuses", "сервер отказывает"),
        404 => ("not found on the server", "на сервере не найдено"),
        405 => ("the server does not allow this method", "сервер не допускает такой метод"),
        407 => ("the proxy wants a log-in", "прокси требует входа"),
        408 => ("the request took too long", "запрос шёл слишком долго"),
        409 => ("conflict with the server's state", "противоречие с состоянием сервера"),
        410 => ("gone from the server", "на сервере больше нет"),
        413 => ("the request is too large for the server", "запрос слишком велик для сервера"),
        416 => ("the server cannot give this range", "сервер не даёт такой диапазон"),
        500 => ("an error of the server", "ошибка сервера"),
        501 => ("the server cannot do this", "сервер этого не умеет"),
        502 => ("a gateway got a bad answer", "шлюз получил неверный ответ"),
        503 => ("the server is overloaded or away", "сервер перегружен или недоступен"),
        504 => ("a gateway got no answer in time", "шлюз не дождался ответа"),
        505 => ("the server does not know this version of HTTP", "сервер не знает эту версию HTTP"),
        _ => return None,
    };
    Some(match lang {
        Lang::En => en,
        Lang::Ru => ru,
    })
}

/// The HTTP status that a code of the update agent stands for (`WU_E_PT_HTTP_STATUS_…`).
const fn update_http(value: u32) -> Option<u16> {
    Some(match value {
        0x8024_4016 => 400,
        0x8024_4017 => 401,
        0x8024_4018 => 403,
        0x8024_4019 => 404,
        0x8024_401A => 405,
        0x8024_401B => 407,
        0x8024_401C => 408,
        0x8024_401D => 409,
        0x8024_401E => 410,
        0x8024_401F => 500,
        0x8024_4020 => 501,
        0x8024_4021 => 502,
        0x8024_4022 => 503,
        0x8024_4023 => 504,
        0x8024_4024 => 505,
        _ => return None,
    })
}

/// Facilities, with the ranges in which one number is shared by several components.
const fn facility_name(
    facility: u16,
    low: u16,
    reserved: bool,
    lang: Lang,
) -> Option<&'static str> {
    let (en, ru) = match (facility, low) {
        (4, 0xF000..) if reserved => ("software licensing", "лицензирование"),
        _ if reserved => return None,
        (0, _) => ("the system itself (FACILITY_NULL)", "сама система (FACILITY_NULL)"),
        (1, _) => ("RPC", "RPC"),
        (2, _) => ("COM dispatch", "COM (диспетчер)"),
        (3, _) => ("COM structured storage", "структурированное хранилище COM"),
        (4, 0x2300..=0x24FF) => ("Volume Shadow Copy (VSS)", "теневые копии (VSS)"),
        (4, 0x1000..=0x1FFF) => {
            ("WMI, or another component's own interface", "WMI или интерфейс другого компонента")
        }
        (4, _) => (
            "a component's own interface (FACILITY_ITF)",
            "интерфейс отдельного компонента (FACILITY_ITF)",
        ),
        (7, _) => ("Win32", "Win32"),
        (8, _) => ("Windows (COM)", "Windows (COM)"),
        (9, _) => ("security and cryptography", "безопасность и криптография"),
        (0xB, _) => ("certificates and trust", "сертификаты и доверие"),
        (0xF, 0x0800..=0x09FF) => {
            ("component-based servicing (CBS)", "обслуживание компонентов (CBS)")
        }
        (0xF, _) => ("device setup (SETUPAPI)", "установка устройств (SETUPAPI)"),
        (0x19, _) => ("HTTP", "HTTP"),
        (0x20, _) => ("BITS", "BITS"),
        (0x24, low) => match low >> 12 {
            0x0 => ("Windows Update: agent", "Центр обновления: агент"),
            0x1 => (
                "Windows Update: Windows Installer handler",
                "Центр обновления: обработчик Windows Installer",
            ),
            0x2 => ("Windows Update: update handlers", "Центр обновления: обработчики обновлений"),
            0x3 => ("Windows Update: user interface", "Центр обновления: интерфейс"),
            0x4 => ("Windows Update: protocol and HTTP", "Центр обновления: протокол и HTTP"),
            0x5 => ("Windows Update: redirector", "Центр обновления: перенаправление"),
            0x6 => ("Windows Update: download manager", "Центр обновления: загрузка"),
            0x7 => (
                "Windows Update: offline scan and metadata",
                "Центр обновления: автономный поиск и метаданные",
            ),
            0x8 => ("Windows Update: data store", "Центр обновления: хранилище данных"),
            0x9 => ("Windows Update: inventory", "Центр обновления: инвентаризация"),
            0xA => {
                ("Windows Update: automatic updates", "Центр обновления: автоматическое обновление")
            }
            0xB => ("Windows Update: metadata", "Центр обновления: метаданные"),
            0xC => ("Windows Update: drivers", "Центр обновления: драйверы"),
            0xD => (
                "Windows Update: setup of the agent itself",
                "Центр обновления: установка самого агента",
            ),
            0xE => (
                "Windows Update: applicability expressions",
                "Центр обновления: условия применимости",
            ),
            _ => ("Windows Update: reporter", "Центр обновления: отчёты"),
        },
        (0x31, _) => ("BitLocker", "BitLocker"),
        (0x50, _) => ("Microsoft Defender", "Microsoft Defender"),
        (0x78, _) => ("Windows Backup engine (wbengine)", "служба архивации Windows (wbengine)"),
        (0x79, _) => ("Windows Backup command line", "командная строка архивации Windows"),
        (0x80, _) => ("Windows Backup user interface", "интерфейс архивации Windows"),
        (0x82, _) => ("volume shadow storage (volsnap)", "хранилище теневых копий (volsnap)"),
        (0x87, _) => ("device update agent", "агент обновления устройств"),
        (0x88, _) => ("driver servicing", "обслуживание драйверов"),
        (0xD0, _) => ("Delivery Optimization", "оптимизация доставки"),
        (0x100, 0x0000..=0x00FF) => {
            ("Windows Backup and Restore (sdclt)", "архивация и восстановление Windows (sdclt)")
        }
        (0x100, 0x0100..=0x01FF) => ("shared protection point (SPP)", "общая точка защиты (SPP)"),
        (0x100, 0x0200..=0x02FF) => ("System Restore", "восстановление системы"),
        (0x100, _) => {
            ("backup and protection (facility 0x100)", "архивация и защита (подсистема 0x100)")
        }
        _ => return None,
    };
    Some(match lang {
        Lang::En => en,
        Lang::Ru => ru,
    })
}

#[cfg(test)]
mod tests {
    use super::{Decoded, Lang};

    fn decode(value: u32) -> Decoded {
        super::decode(value, Lang::En)
    }

    #[test]
    fn bits_are_taken_apart() {
        let d = decode(0x8007_0003);
        assert!(d.severity_failure && !d.ntstatus && !d.customer);
        assert_eq!((d.facility, d.win32, d.http_status), (7, Some(3), None));
        assert_eq!(d.words, "failure: Win32 error 3 (ERROR_PATH_NOT_FOUND): a path was not found");
        assert_eq!(decode(0x8019_01F7).http_status, Some(503));
        let http = "failure: HTTP status 503 (the server is overloaded or away)";
        assert_eq!(decode(0x8019_01F7).words, http);
        assert_eq!(decode(0x8024_4022).words, http);
        assert_eq!(decode(0x8024_0006).facility_name, Some("Windows Update: agent"));
        assert!(!decode(0x0024_0006).severity_failure);
    }

    #[test]
    fn one_number_of_several_components_is_told_apart() {
        for (value, name) in [
            (0x8004_2302, "Volume Shadow Copy (VSS)"),
            (0x8004_1004, "WMI, or another component's own interface"),
            (0x800F_081F, "component-based servicing (CBS)"),
            (0x800F_024B, "device setup (SETUPAPI)"),
            (0x8100_0037, "Windows Backup and Restore (sdclt)"),
            (0x8100_0101, "shared protection point (SPP)"),
            (0x8100_0202, "System Restore"),
            (0xC004_F012, "software licensing"),
            (0xC190_0101, "MOSETUP (Windows setup and upgrade)"),
        ] {
            assert_eq!(decode(value).facility_name, Some(name), "0x{value:08X}");
        }
    }

    #[test]
    fn kernel_codes_are_named_with_and_without_their_wrapper() {
        for value in [0xD000_0034_u32, 0xC000_0034] {
            let d = decode(value);
            assert!(d.ntstatus);
            assert_eq!(d.status, Some(0xC000_0034));
            assert_eq!(
                d.words,
                "failure: NTSTATUS 0xC0000034 (STATUS_OBJECT_NAME_NOT_FOUND): a name was not found"
            );
        }
        assert!(!decode(0xC190_0101).ntstatus);
    }

    #[test]
    fn what_is_not_known_stays_raw() {
        let d = decode(0x86FF_1234);
        assert_eq!(d.facility_name, None);
        assert_eq!(d.words, "failure: code 0x1234, unknown facility 0x6FF");
        assert_eq!(
            decode(0x8007_36FF).words,
            "failure: Win32 error 14079, of side-by-side assemblies (component store)"
        );
    }

    #[test]
    fn russian_words_are_russian() {
        for value in [0x8007_0003, 0x8019_0194, 0xD000_0022, 0xC190_0101, 0x8024_0FFF, 0x86FF_1234]
        {
            let words = super::decode(value, Lang::Ru).words;
            assert!(words.starts_with("сбой: "), "{words}");
        }
        assert!(super::decode(0x8007_0003, Lang::Ru).words.ends_with("путь не найден"));
    }
}
