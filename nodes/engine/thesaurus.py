"""Words that people use for the same thing: what a question says and a document may say otherwise."""

from __future__ import annotations

from itertools import zip_longest

from nodes.engine.stem import stem

# Groups of words, separated by semicolons: general English of people who ask about software, work, products and rules.
_WORDS = """
abort cancel interrupt stop halt terminate kill quit exit; accelerate speed fast faster quick quickly performance; accept
allow permit support tolerate; access reach read obtain; account profile user login; accurate exact precise correct; add
append insert include extend plus sum; adjust tune configure customize change modify edit tweak; alias synonym nickname
shorthand; allocate reserve assign; alternative replacement substitute instead option; annotate hint typed typing; answer
reply response; arg args argument parameter; array list sequence vector; assign bind set store rebind; change assign rebind
reassign; attach add link; author maintainer creator wrote developer; automatic automatically implicit implicitly default;
avoid prevent skip bypass; backward reverse inverse; begin start initial first launch; benchmark speed performance timing;
big large huge long; block prevent forbid prohibit; boolean bool truth flag; branch path condition; bug defect problem
issue; bundle package pack; byte bytes binary; cache remember memoize store; call invoke execute run; capacity limit size
maximum; catch handle except intercept rescue; char character letter symbol; check verify validate test inspect examine
ensure; clean clear empty tidy; close shut end dispose release; collaborate contribute; collect gather aggregate; color
colour style; combine merge join concatenate mix union; command instruction cli terminal shell console; comment remark note;
compatible compatibility interoperable; compress shrink zip; computer machine host; concurrent parallel simultaneous
simultaneously async asynchronous; configure setting option setup preference; connect link attach; constant fixed immutable;
consume use spend; convert transform cast change turn translate coerce; copy duplicate clone replicate; cost price fee
charge expense; count number amount total quantity tally; create make build construct generate produce instantiate new;
crash fail error; cut truncate trim clip shorten; date day time datetime timestamp; decimal float fraction; declare define
specify; decode decoding deserialize parse load; encode encoding serialize dump; default fallback standard; delay wait sleep
pause timeout; delete remove drop erase discard unset del destroy; dependency requirement prerequisite; deprecated obsolete
legacy outdated; describe document; detect find discover identify recognize guess; dictionary dict mapping map; die end;
difference differ distinguish distinction versus contrast; digit number numeric figure; directory folder path; disable
deactivate off; display show print render output; download fetch retrieve get; earlier previous before prior former; email
mail message; embed nest include; empty blank missing null none; enable activate on; encrypt cipher secure; equal same
identical equivalent; error exception failure fault; escape quote; evaluate compute calculate; event signal notification;
every all each; evolve develop; expand extend grow; expire expiry timeout ttl; explicit explicitly manual manually;
expression formula; external foreign third; fail failure break crash; fallback backup; false untrue; field attribute
property member; file document; filter select exclude; fix repair solve correct resolve; fold collapse; format layout form;
forward pass relay; free gratis release; freeze lock; function method callable routine procedure; global module-level; group
set bundle category; guarantee promise ensure; hide conceal mask; hurt harm slow; id identifier key name; ignore skip
disregard omit; import load include; improve better enhance; indent indentation whitespace; information data detail info;
inherit subclass derive extend; inner nested enclosed; input argument entry; install installation setup pip; integer int
number; internet web online network http; iterate loop traverse repeat cycle; keep retain preserve maintain; language
locale; last final end; late delay; leave exit quit abandon terminate end; early premature prematurely soon; latest newest
recent; launch start run; lazy deferred; length size len; letter character; library package module; licence license
licensing; limit restrict bound cap maximum constraint; local offline; log record trace; loop iterate for while; lowercase
lower case; map mapping dictionary; match pattern equal; maximum max highest most largest limit upper; minimum min lowest
least smallest lower; mean average; memory ram; method function; migrate upgrade move port; missing absent lacking
unavailable; modify mutate change edit alter update; mutable changeable; multiple several many; multiply times product; name
call identifier label title; notify alert inform; object instance value; obtain get receive retrieve fetch; omit skip leave
exclude; open access; operate operation operator; order sort sequence arrange rank; overload override; overwrite replace;
own possess; password credential secret key token; pause suspend halt interrupt; permission right access authorization
privilege; platform system os; portable cross-platform; precedence priority order; prefix leading beginning; print output
display; priority precedence importance; private internal hidden; program script application app code software; protect
secure guard; provide supply give offer; proxy gateway intermediary; punctuation symbol; purchase buy order; query search
ask; quick rapid fast; raise throw emit; random arbitrary; range span interval; rate frequency; raw literal unprocessed;
read load parse open; ready finished available; refund repayment reimburse; refuse reject deny decline; regex regexp
pattern; register enroll; release version publish launch; remember store cache save; rename alias; repeat duplicate again
recur; replace substitute swap; report announce; reproduce replicate; request call; require need must necessary mandatory;
reset restore; restrict limit constrain; result outcome return output; resume continue restart; retry repeat again
reattempt; return yield give result; reuse recycle share; revert undo rollback; round truncate; safe secure safely; save
store persist write; schedule plan; schema structure shape; scope visibility namespace; search find look lookup locate seek;
security vulnerability safety; select choose pick; send transmit submit post deliver; separate split divide; server host
backend; share common; ship deliver send; shortcut abbreviation; show display; signal sign; skip ignore pass; sleep wait;
slow slowly latency; sort order rank; source origin; space whitespace blank; special magic dunder; split divide separate
partition tokenize; stable steady; standard default norm specification; statement instruction; static fixed constant; stop
end finish terminate; storage disk database; stream streaming chunk; string str text; strip trim remove; subclass inherit
derive child; sum total add; supported compatible works; surround enclose wrap; swap exchange; switch toggle change; sync
synchronous blocking; table grid; tag label mark; temporary transient; terminate end exit; text string; thread concurrent;
throw raise; timeout deadline expire limit; timezone tz zone utc; token key; total sum; trace debug log; track follow
monitor; trailing ending suffix; trim strip; true valid; tutorial guide introduction example; type class kind; unchanged
same; undefined unbound missing unset; unexpected surprising; unicode utf utf-8 encoding; unique distinct; unpack
destructure expand spread; update refresh upgrade change; upload send; uppercase upper capital capitalize; url link address
uri; user customer client person; valid legal correct allowed permitted; validate check verify; value content; variable
name; version release; view see look; visible shown; wait block delay; warn warning alert caution; website site homepage
web; width wide; worker thread process; wrap surround enclose; write save output; wrong incorrect invalid bad; zero nothing;
previous prev; argument arg; configuration configure config conf; directory dir; maximum max; minimum min; temporary temp
tmp; initialize initialise init; message msg; environment env; reference ref; parameter param; specification spec;
application app; authentication auth; database db; attribute attr; character char; command cmd; function func fn;
administrator admin; repository repo; package pkg; source src; destination dest; separator sep; synchronize sync; statement
stmt; expression expr; exception exc; integer int; boolean bool; dictionary dict; document doc; documentation docs; develop
dev; hole vulnerability gap; written implemented coded programmed; vacation holiday leave absence off; doctor medical
physician certificate; ill sick illness sickness disease unwell; baby child newborn parental maternity paternity parent;
home remote telework homeoffice; office workplace desk site; stolen lost missing theft steal; lose lost without missing; fly
flight plane airline air; train rail railway; car vehicle taxi drive driving; hotel accommodation lodging overnight stay;
meal food lunch dinner breakfast eat; spend cost expense expenditure pay limit budget; receipt invoice bill proof voucher;
money payment amount cash fund; salary wage pay income earn compensation; boss manager supervisor lead head superior;
colleague coworker employee staff worker personnel; company firm business employer organisation organization corporation;
customer client buyer guest shopper; buy purchase order acquire; sell sale vendor merchant; shop store outlet; price cost
rate tariff; cheap inexpensive low discount; expensive costly high; discount rebate reduction coupon; refund reimburse
reimbursement repay money-back; return send back; deliver delivery ship shipping shipment dispatch; parcel package shipment;
late delay overdue; early premature; deadline due date latest; rent lease hire; contract agreement terms; cancel
cancellation terminate withdraw revoke; sign signature; warranty guarantee; complain complaint dissatisfied; insurance cover
policy; damage damaged broken defect faulty; repair fix mend service; replace exchange swap; allow allowed permit permitted
may permission; forbid forbidden prohibited ban banned disallowed; must required mandatory obligatory compulsory; rule
policy regulation guideline; law legal statute; fine penalty sanction punishment; approve approval authorize authorise
consent sign-off; apply application request submit; reject decline refuse deny; join enter onboard start; quit resign leave
termination; hire recruit employ; train training course education learn; teach lesson instruct; school college university;
exam test assessment; grade mark score; book reserve reservation booking; travel trip journey business-trip; visit tour;
visitor guest; arrive arrival come; depart departure leave; open opening hours; close closing closed; phone telephone call
mobile; mail post letter; email e-mail message; laptop computer notebook device pc machine; internet network wifi web;
password passphrase passcode pin; account login profile; document paper form file; report notify inform announce tell;
immediately once instantly promptly; deadline period days within; month monthly; year annual yearly calendar; week weekly;
day daily; hour hourly; overtime extra hours; break pause rest; weekend saturday sunday; meeting appointment conference
session; room space hall; floor storey level; building house premises; key badge card access; emergency urgent alarm; fire
smoke burn; safe safety secure security; injure injury hurt accident wound; medicine drug medication; pain ache; hospital
clinic; age old years; born birth birthday; die death dead; marry married wedding; family relative relatives; man men male;
woman women female; young youth junior; elderly senior old; kid child children; friend mate; animal pet; dog cat pet; water
drink; weather climate; hot warm heat temperature; cold cool freeze; rain wet; garden yard; tree plant; city town village;
country nation state; street road; live reside residence; move relocate relocation; war conflict; king queen ruler monarch;
founder founded establish established; invent invention inventor; discover discovery discovered; win won victory winner;
loss defeat; film movie; song music; picture image photo; writer author; painter artist; leader president chief head ceo;
minister government; vote election; tax duty levy; bank finance; loan credit debt; profit gain earnings; growth increase
rise; fall drop decline decrease reduce; goal aim purpose objective target; reason cause why; effect consequence impact
result; advantage benefit pro plus; disadvantage drawback con minus downside; similar alike like comparable; important
essential key crucial; rare seldom uncommon; often frequent frequently commonly; usually typically generally normally; begin
commence; finish complete done; keep store retain; throw dispose discard; clean wash; dirty polluted; heavy weight weigh;
tall height high; wide broad width; distance far away; near close nearby; fast quick rapid speed; colour color; size
dimension measurement; shape form; kind sort type; part component piece; material substance; tool instrument device; machine
equipment; energy power electricity; fuel gas petrol; light lamp; sound noise loud; picture drawing
"""
_GROUPS = tuple(tuple(group.split()) for group in _WORDS.split(";"))


def _related() -> dict[str, frozenset[str]]:
    groups: dict[str, set[str]] = {}
    for group in _GROUPS:
        stems = {stem(word) for word in group}
        for word in stems:
            groups.setdefault(word, set()).update(stems - {word})
    return {word: frozenset(others) for word, others in groups.items()}


_RELATED = _related()


def related(term: str) -> frozenset[str]:
    """Give the stems that people use for the same thing as a stem; empty for most."""
    return _RELATED.get(term, frozenset())


def synonyms(words: list[str], *, limit: int) -> list[str]:
    """List words to search for beside those given, as the groups have them, in turn for each word; none of them given."""
    known = {stem(word.lower()) for word in words}
    columns: list[list[str]] = []
    for word in words:
        own = stem(word.lower())
        groups = [group for group in _GROUPS if own in {stem(other) for other in group}]
        columns.append([other for group in groups for other in group if stem(other) not in known])
    rows = (word for row in zip_longest(*columns) for word in row if word is not None)
    return list(dict.fromkeys(rows))[:limit]
