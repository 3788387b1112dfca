"""Names of the emotions in the ten most spoken languages, and in German; they are offered, never applied.

:func:`ser_kit.core.labels.canonical` knows a few English names, which are read as the emotion that they mean.
The words here are only suggestions for a map of labels (:mod:`ser_kit.corpora.naming`): a label may mean
something else in the recordings that it comes with.

Examples:
    >>> meaning("Wut"), meaning("tristeza"), meaning("anger_high"), meaning("tense")
    ('angry', 'sad', 'angry', None)
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

LANGUAGES = ("en", "zh", "hi", "es", "fr", "ar", "bn", "pt", "ru", "ur", "de")
"""ISO 639-1 codes of the languages, in the order of the words below."""

# One line for each language, in the order of LANGUAGES: nouns and adjectives, as people label clips.
_WORDS = {
    "neutral": """
        neutral neutrality unemotional emotionless
        中性 中立 平淡 无情绪 中性的 zhongxing
        तटस्थ सामान्य
        neutro neutra neutral neutralidad
        neutre neutralité
        محايد محايدة حياد حيادي
        নিরপেক্ষ স্বাভাবিক
        neutro neutra neutralidade
        нейтральный нейтральная нейтрально нейтральное нейтральность
        غیرجانبدار نیوٹرل
        neutral neutralität sachlich
    """,
    "calm": """
        calm calmness relaxed peaceful serene
        平静 冷静 镇静 平和 pingjing
        शांत शान्त शांति शान्ति
        calma calmado calmada tranquilo tranquila tranquilidad serenidad
        calme serein sereine apaisé
        هادئ هادئة هدوء
        শান্ত
        calma calmo calmado calmada tranquilo tranquila tranquilidade
        спокойный спокойная спокойно спокойствие
        پرسکون سکون
        ruhig ruhe gelassen entspannt
    """,
    "happy": """
        happy happiness joy joyful glad cheerful delighted delight amused amusement
        高兴 快乐 开心 喜悦 愉快 幸福 喜 gaoxing kaixin
        खुश खुशी प्रसन्न प्रसन्नता आनंद आनन्द सुख सुखी हर्ष
        feliz felicidad alegre alegría contento contenta
        heureux heureuse joie joyeux joyeuse bonheur content contente
        سعيد سعيدة سعادة فرح فرحان
        খুশি সুখী আনন্দ আনন্দিত সুখ
        feliz felicidade alegre alegria contente
        счастье счастливый счастливая радость радостный радостная радостно весёлый
        خوش خوشی مسرت
        freude freudig froh fröhlich glücklich glück heiter
    """,
    "sad": """
        sad sadness sorrow sorrowful unhappy grief depressed
        悲伤 难过 伤心 悲哀 悲 beishang shangxin
        दुखी दुःखी उदास उदासी दुख दुःख
        triste tristeza
        triste tristesse
        حزين حزينة حزن
        দুঃখ দুঃখী দুঃখিত বিষণ্ণ
        triste tristeza
        грусть грустный грустная грустно печаль печальный печальная
        اداس اداسی غم غمگین دکھ
        trauer traurig traurigkeit
    """,
    "angry": """
        angry anger mad rage furious fury annoyed
        愤怒 生气 怒 恼怒 气愤 fennu shengqi
        क्रोध क्रोधित गुस्सा ग़ुस्सा नाराज़ नाराज
        enojo enojado enojada enfado enfadado enfadada ira rabia furia furioso furiosa
        colère fâché fâchée rage furieux furieuse énervé énervée
        غاضب غاضبة غضب
        রাগ রাগান্বিত ক্রোধ ক্রুদ্ধ
        raiva irritado irritada bravo brava zangado zangada ira fúria
        гнев гневный злость злой злая злобный ярость сердитый сердитая
        غصہ غصے ناراض
        wut wütend ärger verärgert zorn zornig böse
    """,
    "fear": """
        fear fearful afraid scared anxiety anxious frightened terror terrified
        恐惧 害怕 惊恐 恐慌 担忧 kongju haipa
        डर भय डरा डरी भयभीत
        miedo temor temeroso temerosa asustado asustada ansiedad
        peur effrayé effrayée apeuré apeurée crainte anxiété
        خوف خائف خائفة
        ভয় ভয় ভীত আতঙ্ক
        medo receio assustado assustada temor ansiedade
        страх испуг испуганный испуганная тревога боязнь
        خوف ڈر خوفزدہ
        angst ängstlich furcht furchtsam verängstigt
    """,
    "disgust": """
        disgust disgusted revulsion
        厌恶 恶心 讨厌 反感 yanwu
        घृणा घिन नफ़रत
        asco repugnancia asqueado asqueada
        dégoût dégoûté dégoûtée
        اشمئزاز مشمئز قرف
        ঘৃণা
        nojo repulsa aversão
        отвращение омерзение
        کراہت گھن نفرت
        ekel angeekelt abscheu
    """,
    "surprised": """
        surprise surprised amazed amazement astonished
        惊讶 惊奇 吃惊 惊喜 惊 jingya
        आश्चर्य हैरान हैरानी विस्मय चकित
        sorpresa sorprendido sorprendida asombro
        surprise surpris étonné étonnée étonnement
        مفاجأة متفاجئ دهشة مندهش
        বিস্ময় বিস্ময় বিস্মিত অবাক
        surpresa surpreso surpreendido surpreendida
        удивление удивлённый удивленный удивлённая
        حیرت حیران تعجب
        überraschung überrascht erstaunt erstaunen
    """,
    "boredom": """
        boredom bored
        无聊 厌倦 wuliao
        ऊब बोरियत
        aburrimiento aburrido aburrida
        ennui ennuyé ennuyée
        ملل مملول ضجر
        একঘেয়েমি
        tédio entediado entediada
        скука скучно скучающий
        بوریت بیزاری بیزار
        langeweile gelangweilt
    """,
    "excited": """
        excited excitement enthusiastic enthusiasm
        兴奋 激动 xingfen
        उत्साह उत्साहित उत्तेजित
        emocionado emocionada entusiasmo entusiasmado
        excité excitée excitation enthousiaste enthousiasme
        متحمس متحمسة حماس
        উত্তেজিত উত্তেজনা উৎসাহ
        animado animada entusiasmo empolgado empolgada
        восторг возбуждение возбуждённый воодушевление
        پرجوش جوش
        aufgeregt aufregung begeistert begeisterung
    """,
    "frustrated": """
        frustrated frustration
        沮丧 挫败 挫折 jusang
        निराश निराशा हताश हताशा
        frustrado frustrada frustración
        frustré frustrée
        محبط محبطة إحباط
        হতাশ হতাশা
        frustrado frustrada frustração
        фрустрация разочарование досада
        مایوس مایوسی
        frustriert frust
    """,
}
_NEGATIONS = frozenset({"not", "no", "non", "un", "nicht", "kein", "keine", "sin", "sem", "не", "без"})
_MARKS = re.compile("[\u0300-\u036f\u064b-\u0652]")
"""Accents of Latin and Cyrillic letters, and the short vowels of Arabic, which are often left out."""


def bare(word: str) -> str:
    """A word without case, accents and space around it, to compare words by.

    Examples:
        >>> bare(" Colère "), bare("WÜTEND")
        ('colere', 'wutend')
    """
    text = unicodedata.normalize("NFKD", word.strip().casefold())
    return unicodedata.normalize("NFC", _MARKS.sub("", text))


@cache
def words() -> dict[str, str]:
    """Each bare word, and the emotion that it names."""
    found: dict[str, str] = {}
    for emotion, lines in _WORDS.items():
        found |= {bare(word): emotion for word in lines.split()}
    return found


def meaning(label: str) -> str | None:
    """The emotion that a label may name, or ``None`` where no word of it is known or several differ.

    Args:
        label: such as ``"Wut"``, ``"alegría"`` or ``"anger_high"``.
    """
    known = words()
    if whole := known.get(bare(label)):
        return whole
    parts = [part for part in re.split(r"[\s\d_.,;:|/()+-]+", bare(label)) if part]
    named = {known[part] for part in parts if part in known}
    return named.pop() if len(named) == 1 and not _NEGATIONS & {*parts} else None
