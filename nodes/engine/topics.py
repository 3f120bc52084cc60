"""Topics: what texts of common categories talk about, for sorting a text into categories that only have names."""

from __future__ import annotations

import re

from nodes.engine.stem import stem

# Names of a category, a colon, then the words that its texts use; an indented line goes on.
_TOPICS = """
billing bill payment payments invoice invoicing finance financial refund refunds charge: invoice payment pay paid charged
    charge refund price billing subscription card receipt fee money overcharged bank credit
technical tech bug support engineering software it incident: crash crashed error bug install installation broken slow login
    server freezes fail failure exception update app device screen timeout code stack
account accounts login access profile authentication: password login account username sign profile locked verify reset
    register credentials
shipping delivery logistics fulfilment fulfillment order orders: shipping delivery package parcel tracking arrived late
    courier address order shipped damaged
sales pricing purchase presales: buy purchase price plan quote discount offer demo trial upgrade license contract
legal compliance privacy: contract law legal lawyer court liability terms policy compliance gdpr privacy copyright
hr personnel recruiting careers: job vacation salary employee hiring holiday sick leave interview application manager
security safety: breach vulnerability hacked malware phishing attack leak unauthorized virus
feature enhancement suggestion idea: feature wish suggest suggestion add would nice improve option support request
complaint complaints negative: unhappy disappointed terrible awful worst unacceptable complain angry rude
praise compliment positive thanks: thank thanks great love excellent wonderful happy amazing
question inquiry enquiry howto: how what why when where which can does
spam scam junk: winner prize click free lottery bitcoin offer limited cash million claim urgent
sports sport: match team goal player league season coach championship football tennis game score
politics political government: election minister president parliament vote party government policy senate
technology computing ai: software computer internet chip smartphone data artificial algorithm startup cloud robot
business economy markets economics: company market stock profit revenue shares investor merger sales bank inflation
science research: study researchers scientists experiment discovery physics species climate space planet
health medical medicine: doctor patient hospital disease symptom medicine treatment virus pain therapy
entertainment culture arts: film movie music actor album festival concert book series
travel tourism: flight hotel trip vacation airport visa train booking destination
food cooking: recipe restaurant cook ingredient meal taste kitchen dinner
education school: school student teacher university course exam lesson homework
coding programming development developer: code function bug python class compile test api refactor library program implement
math mathematics calculation: calculate sum equation number multiply divide percent add
writing editor writer content: write draft text article essay edit rewrite style
research researcher retrieval search: find research search look sources facts documents information
weather: weather rain temperature forecast sunny wind snow
"""


def cues(name: str) -> str:
    """Give the words that texts of a category use, by the category's name; "" for one that is not known."""
    wanted = {stem(word) for word in re.split(r"[^a-z]+", name.lower()) if word}
    found = []
    for line in _TOPICS.replace("\n    ", " ").strip().splitlines():
        names, _, words = line.partition(": ")
        if wanted & {stem(word) for word in names.split()}:
            found.append(words)
    return " ".join(found)
