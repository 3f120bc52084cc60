"""Draw graphs without a network and without a browser: as SVG and as text, from one layered layout.

All arrows leave a box at the bottom and enter one at the top. What skips layers runs down on the right side, what goes
back runs up on the left side, so a loop is seen at once; a decision is dashed and carries the router's question.
"""
