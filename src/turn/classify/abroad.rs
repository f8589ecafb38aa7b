//! Sentences in other languages than English: whether they report, and whether they may say anything else.

use std::sync::LazyLock;

use regex::Regex;

/// Words of English that other languages don't share, and words of others.
const ENGLISH: &str = "the and of to is are was were it this that with for from now has have not by as when all i i've my added fixed updated";
const FOREIGN: &str = "der das und ist nicht ich ein eine mit sind für les des est une et le la de que los las el por con una il che di sono het een ho della nella tutti anche ora gli del al ik heb och att jag em os um uma foi não je vous pour dans";

/// Stems by which work is reported in German, French, Spanish, Portuguese, Italian, Dutch and Russian, then in Japanese,
/// Chinese and Korean. `_` ends a word.
const DONE: [&str; 2] = [
    "behoben hinzugefügt umgesetzt erledigt fertig angepasst aktualisiert ergänzt ersetzt entfernt verschoben umbenannt \
    implementiert korrigiert repariert geändert umgestellt läuft funktioniert verwendet gelöscht \
    ajouté corrigé remplacé supprimé mis_ renommé déplacé implémenté terminé fait_ modifié créé migré fonctionne passent_ \
    corregi añad actualiz eliminad eliminó reemplaz listo_ hecho_ implement agreg cread renombr movid pasan_ \
    corrigi adicion atualiz pronto_ feito_ remov criei criad renome passam_ \
    aggiun corrett aggiornat rimoss fatto_ spostat rinominat creat funziona toegevoegd bijgewerkt opgelost vervangen verwijderd \
    aangepast klaar hernoemd исправ добав обнов удалил удалён удален готово реализ перенес перенёс переимен замен создал",
    "ました 完了 済み 已 完成 修复 添加 更新 实现 重构 했습니다 되었습니다 완료",
];

/// Stems, in the same order, of what is not, of what may, must, will or should be, of what is missing, and of requests: more
/// than it takes, for no answer in these languages is read more closely.
const OPEN: [&str; 2] = [
    "nicht_ kein leider noch_ fehl_ fehlt fehlen fehlge fehlsch ohne_ bitte soll darf dürf kann könn möcht woll will_ werde würde muss müss offen teilweise \
    teils nur_ abgebr abbruch blockier wart brauch benötig sag_ sagt_ als_ nächst unklar frag rückmeld freigabe zuerst hälfte rest \
    scheiter gescheitert unmöglich ob_ welch entscheid plan vorschl schlage bevor sobald falls aber_ jedoch außer_ bis_ gestoppt \
    stopp aufgeg zurückg verweiger warn erlaub gib_ nenn wähl bestätig \
    ne_ n_ pas_ impossible échou échec malheur désolé erreur manqu sans_ besoin faut_ doit doiv savoir dev peux peut pouv voul veux veuil souhait \
    pourr vais_ va_ allons vont_ dites indiqu merci_ atten rest seule partiel moitié encore toujours mais_ sauf_ bloqu quel lequel si_ \
    avant.de avant.que propos refus annul abandon cours_ confirm autoris question arrêt prochain ensuite \
    no_ não nao nad ningun nunca sin_ sem_ falt fall falh error erro_ impos lament desafort infeliz pued pod deb necesit precis quier \
    quer dese prefer prefier voy_ vou_ vamos vai_ dime dig indic esper aguard pend parcial mitad metade sólo solo só_ apenas aún aun_ \
    todavía ainda pero_ mas_ excepto salvo exceto bloque cuál cual qual antes propue rechaz recus abort cancel continu siguient próxim \
    pregunt pergunt revert dej deix escol elij elig \
    non_ senza manca purtroppo poss può serve_ bisogn vuo vogl attend aspett parzial metà ancora però ma_ tranne blocc prima piano \
    rifiut dimmi scegli niet_ geen_ helaas nog_ fout zonder graag kan_ kun moet wil_ zal_ wacht alleen deel maar_ behalve voordat lukt \
    не_ нев неуд нея нет_ ни_ ошиб пада долж нуж пожалуйста мож мог хот буд сейчас ожид жду разреш част полов ещё еще но_ кроме только остал останов сожал \
    подтверд уточн как ли_ если перед план предл отказ заблок прер вопрос скаж реш выбер",
    "ません ない なかった でしょうか ますか ですか ください 下さい できず 失敗 中断 エラー 未 不[^变] 待 予定 これから 次 します だけ のみ 一部 半分 残 まだ 必要 確認 \
    承認 許可 許し 選 どちら どの 申し訳 すみません 止 質問 希望 または それとも 拒否 断 たい 无法 没 失败 错误 请 需要 是否 吗 呢 还 尚 等 接下来 我将 准备 计划 打算 正在 允许 \
    部分 一半 只 仅 剩 但 除 停 放弃 抱歉 拒绝 确认 选择 哪 可以 能否 如果 之前 建议 方案 跳过 阻 想 못 않 없 실패 오류 아직 필요 주세요 까요 나요 습니까 하겠 예정 중단 \
    중입니다 일부 절반 대기 확인 선택 어떤 어느 죄송 불가 거부 하지만 남 계획",
];

/// Whether more of a sentence's words are another language's than English.
pub(super) fn is_foreign(text: &str) -> bool {
    let among = |list: &str, word: &str| list.split(' ').any(|known| known == word);
    let (mut english, mut foreign) = (0, 0);
    for word in text.split(|char: char| !char.is_alphanumeric() && char != '\'') {
        let accented = word
            .chars()
            .any(|char| char.is_alphabetic() && !char.is_ascii());
        english += usize::from(among(ENGLISH, word));
        foreign += usize::from(accented || !word.is_empty() && among(FOREIGN, word));
    }
    foreign > english
}

/// Whether a sentence in another language reports that work was done.
pub(super) fn claims(text: &str) -> bool {
    static STEMS: LazyLock<Regex> = LazyLock::new(|| stems(DONE));
    STEMS.is_match(text)
}

/// Whether a sentence in another language may speak of anything but what was done.
pub(super) fn hints(text: &str) -> bool {
    static STEMS: LazyLock<Regex> = LazyLock::new(|| stems(OPEN));
    STEMS.is_match(text)
}

/// The beginnings of words; in scripts without spaces, anywhere.
fn stems(lists: [&str; 2]) -> Regex {
    let [spaced, other] = lists.map(|list| {
        let stems: Vec<_> = list.split_whitespace().collect();
        stems.join("|").replace('_', r"\b")
    });
    Regex::new(&format!(r"\b(?:{spaced})|{other}")).expect("the pattern is constant")
}
