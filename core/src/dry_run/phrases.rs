//! What holds for a whole remediation, in words.

use super::{Touched, is_for_people};
use crate::knowledge::{Catalogue, Lang, NetworkCost, RebootNeed, Remediation, Risk, Verification};
use crate::step::Undo;
use crate::words::Slug;

/// A line each for risk, undo, restart, network, time, authorities, blockers and proof.
pub(super) fn facts(cat: &Catalogue, r: &Remediation, lang: Lang) -> Vec<String> {
    let mut facts = vec![risk(r.risk, lang).to_owned()];
    if is_for_people(r.risk) {
        return facts;
    }
    facts.push(undo(r.undo(), lang).to_owned());
    facts.push(reboot(r.reboot, lang).to_owned());
    facts.push(network(r.network, lang).to_owned());
    let most = r.steps.iter().fold(0_u32, |sum, s| sum.saturating_add(s.timeout_s));
    let (usual, most) = (time(r.minutes.saturating_mul(60).min(most), lang), time(most, lang));
    facts.push(match lang {
        Lang::En => format!("Time: usually {usual}, never more than {most}."),
        Lang::Ru => format!("Время: обычно {usual}, никогда не больше {most}."),
    });
    if !r.authorities.is_empty() {
        let names: Vec<&str> = r.authorities.iter().map(|a| a.as_str()).collect();
        let words = lang.pick("Only for hosts updated by", "Только для хостов, обновляемых через");
        facts.push(format!("{words}: {}.", names.join(", ")));
    }
    for blocker in &r.blockers {
        let words = lang.pick("Put off while", "Откладывается, пока");
        facts.push(format!("{words}: {} [{blocker}].", probe(cat, blocker, lang)));
    }
    facts.push(proof(r.verification, lang).to_owned());
    if r.unproven {
        let words = lang.pick(
            "Not yet run on a real system of its kind: needs approval and a small first wave.",
            "Ещё не выполнялось на настоящей системе: нужны одобрение и малая первая волна.",
        );
        facts.push(words.to_owned());
    }
    facts
}

/// What a probe asks, in its own words.
pub(super) fn probe(cat: &Catalogue, id: &Slug, lang: Lang) -> String {
    cat.probes.get(id).map_or_else(|| id.to_string(), |p| p.name.get(lang).to_owned())
}

pub(super) fn touched(kind: Touched, lang: Lang) -> &'static str {
    match kind {
        Touched::Service => lang.pick("service", "служба"),
        Touched::Path => lang.pick("path", "путь"),
        Touched::Registry => lang.pick("registry", "реестр"),
        Touched::Program => lang.pick("program", "программа"),
        Touched::System => lang.pick("system", "система"),
    }
}

/// Seconds in words, in the largest unit that holds them whole.
pub(super) fn time(seconds: u32, lang: Lang) -> String {
    let (hour, minute, second) =
        (lang.pick("h", "ч"), lang.pick("min", "мин"), lang.pick("s", "с"));
    match (seconds / 3_600, seconds % 3_600 / 60, seconds % 60) {
        (0, 0, s) => format!("{s} {second}"),
        (0, m, 0) => format!("{m} {minute}"),
        (0, m, s) => format!("{m} {minute} {s} {second}"),
        (h, 0, 0) => format!("{h} {hour}"),
        (h, m, 0) => format!("{h} {hour} {m} {minute}"),
        (h, m, s) => format!("{h} {hour} {m} {minute} {s} {second}"),
    }
}

fn risk(risk: Risk, lang: Lang) -> &'static str {
    match risk {
        Risk::Safe => lang.pick(
            "Risk: safe. It changes little and can be undone.",
            "Риск: безопасно. Меняет немногое, можно отменить.",
        ),
        Risk::Disruptive => lang.pick(
            "Risk: disruptive. It interrupts work, or cannot be undone.",
            "Риск: мешает работе. Прерывает её, или это нельзя отменить.",
        ),
        Risk::Dangerous => lang.pick(
            "Risk: dangerous. It may make things worse; two people decide.",
            "Риск: опасно. Может стать хуже; решают двое.",
        ),
        Risk::Guided => lang.pick(
            "A person does this; the agent changes nothing.",
            "Это делает человек; агент ничего не меняет.",
        ),
        Risk::Refused => lang.pick(
            "Never done; why not, and what is better, stands below.",
            "Никогда не делается; почему и что лучше, сказано ниже.",
        ),
    }
}

fn undo(undo: Undo, lang: Lang) -> &'static str {
    match undo {
        Undo::Exact => lang.pick("Undo: to the state before.", "Отмена: прежнее состояние."),
        Undo::Compensating => {
            lang.pick("Undo: to a state as good as before.", "Отмена: состояние не хуже прежнего.")
        }
        Undo::None => lang.pick(
            "Undo: not all of it; the steps say which.",
            "Отмена: не всего; у каждого шага сказано.",
        ),
    }
}

fn reboot(need: RebootNeed, lang: Lang) -> &'static str {
    match need {
        RebootNeed::Never => lang.pick("No restart.", "Без перезагрузки."),
        RebootNeed::Maybe => lang
            .pick("A restart may be wanted afterwards.", "Потом может понадобиться перезагрузка."),
        RebootNeed::Always => lang.pick("The host restarts.", "Хост перезагружается."),
    }
}

fn network(cost: NetworkCost, lang: Lang) -> &'static str {
    match cost {
        NetworkCost::None => lang.pick("Network: nothing.", "Сеть: не нужна."),
        NetworkCost::Small => lang.pick("Network: some megabytes.", "Сеть: несколько мегабайт."),
        NetworkCost::Large => {
            lang.pick("Network: hundreds of megabytes or more.", "Сеть: сотни мегабайт и больше.")
        }
    }
}

fn proof(verification: Verification, lang: Lang) -> &'static str {
    match verification {
        Verification::AptCheck => lang.pick(
            "Proof: dpkg --audit names nothing and apt-get check is clean.",
            "Проверка: dpkg --audit ничего не называет, apt-get check без ошибок.",
        ),
        Verification::AptUpdate => lang.pick(
            "Proof: apt-get update without a warning.",
            "Проверка: apt-get update без предупреждений.",
        ),
        Verification::DnfMakecache => lang.pick(
            "Proof: dnf makecache fetches the metadata of every repository.",
            "Проверка: dnf makecache загружает метаданные всех репозиториев.",
        ),
        Verification::DnfCheck => {
            lang.pick("Proof: dnf check finds no fault.", "Проверка: dnf check не находит ошибок.")
        }
        Verification::ZypperRefresh => lang.pick(
            "Proof: zypper refreshes every repository.",
            "Проверка: zypper обновляет данные всех репозиториев.",
        ),
        Verification::SystemdUnit => lang.pick(
            "Proof: the unit starts anew and its result is success.",
            "Проверка: юнит запускается заново, результат — успех.",
        ),
        Verification::UpdateScan => lang.pick(
            "Proof: a search for updates through the host's own authority succeeds.",
            "Проверка: поиск обновлений через источник хоста удаётся.",
        ),
        Verification::NextRun => lang.pick(
            "Proof: the next natural run of what failed succeeds, within 14 days; else unverified.",
            "Проверка: следующий обычный запуск того, что сбоило, удаётся за 14 дней; иначе не подтверждено.",
        ),
        Verification::OwnProbe => lang.pick(
            "Proof: the cause's own probe says that it is gone.",
            "Проверка: собственная проба причины говорит, что её больше нет.",
        ),
    }
}
