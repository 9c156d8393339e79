"""Words before whose full stop a sentence does not end, in European languages, as data.

A missed sentence end costs little; a sentence cut at `Dr.` is translated twice, and badly. So a
word that is an abbreviation in one language and an ordinary word in another is left out if it often
ends a sentence.
"""

# Before a name, if capitalized.
_TITLES = """
    dr drs prof mr mrs ms mx messrs rev hon gen col maj capt cpt lt sgt sen rep gov pres supt st ste
    ft mt hr fr frl dipl ing mag jr-ing mme mlle mgr sr sra srta dra ud uds sig sigg dott avv geom
    egr spett exmo exma eng dhr mevr mej ir pfc cmdr adm insp det
"""
# Before something else: an example, or what they introduce or abbreviate.
_LEADING = """
    dr prof vs cf viz approx incl excl resp bzw bspw sog evtl vgl inkl exkl zzgl abzgl geb gest
    gegr betr allg ungef einschl ausschl hrsg verf übers phil éd trad pág págs núm núms dña avda
    bijv bv blz np tzn tj ul św inż dot godz tzv např resp bl.a t.ex f.eks fx pga mht inkl г-н г-жа
    ул им акад проф тов рис табл напр стр см ср кв тел πχ κ κα δρ
"""
# Before a number: `No. 5`, but `No. I did not.`
_BEFORE_NUMBERS = """
    no nos nr nrn num p pp s ss f ff v vv fig figs abb tab tabl bd bde vol vols ch chap chs kap cap
    sec sect § §§ abs art arts par para pt pts ver ed eq eqs gl lfd jg tel fax op ex bsp nº n° pág
    págs núm tom t rn rdnr z anm fn pos ca approx min max abschn ziff kl bl str
    jan feb febr mar mär apr jun jul aug sep sept oct okt nov dec dez janv févr avr juil déc
    абз п пп ст гл т тт
"""
# At the end of a sentence, or before a name.
_SOMETIMES_FINAL = """
    inc ltd co corp bros jr sr esq plc llc gmbh ag ee uu г гг в вв руб коп тыс млн млрд
"""
# Letters with full stops between them: those that often end a sentence.
_OFTEN_FINAL = "т.д т.п т.е.д u.s.w u.a.m u.ä o.ä m.m i.t.d"

# Words that begin a sentence far more often than a name.
_STARTERS = """
    the a an this that these those he she it we they you i his her its our their there here in on at
    but and or so if when while after before as for from by with to what who why how where which
    however then also although because since no yes not some many all each every both did do does is
    der die das den dem des ein eine einen einem einer er sie es wir ihr ich du man dies diese
    dieser dieses im am auf bei mit nach von vor zu zum zur aber und oder doch wenn als weil da auch
    nur noch nicht dann hier seit für wie was wer wo
    le la les un une il elle ils elles nous vous je ce cette ces dans en pour par avec sur mais et
    ou où donc quand qui que
    el los las una unos él ella ellos yo tú usted nosotros este esta estos estas pero y cuando como
    lo su sus del al
    gli egli voi loro questo questa questi ma e quando se nel nella
    os as um uma ele ela eles elas nós eu mas não isto
    het een hij zij wij jullie ik dit deze maar en als toen
    han hon ett och men när om vi jag
    on ona ono oni to ten ta ale nie jest gdy
    он она оно они мы вы я ты это этот эта но и в на с по из за для как когда если что после потом
"""
# Words that follow an ordinal number: `3. Mai`, `19. Jahrhundert`.
_AFTER_ORDINALS = """
    januar jänner februar feber märz april mai juni juli august september oktober november dezember
    jahrhundert jahrhunderts jahrhunderte jh jhd auflage kapitel weltkrieg weltkriegs platz mal
    geburtstag jahrestag stock stunde klasse liga tag
"""

TITLES = frozenset(_TITLES.split())
LEADING = frozenset(_LEADING.split())
BEFORE_NUMBERS = frozenset(_BEFORE_NUMBERS.split())
SOMETIMES_FINAL = frozenset(_SOMETIMES_FINAL.split())
OFTEN_FINAL = frozenset(_OFTEN_FINAL.split())
STARTERS = frozenset(_STARTERS.split())
AFTER_ORDINALS = frozenset(_AFTER_ORDINALS.split())
