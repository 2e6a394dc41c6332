"""One group of bars a line of the table; within a group the longest bar is the largest figure."""
import statistics
from xml.sax.saxutils import escape

COLOURS = {"nginx": "#9aa0a6", "discobot": "#1a73e8", "squid": "#e8710a", "mitmproxy": "#9334e6", "registry": "#12a4a4", "dante": "#c5221f", "microsocks": "#7cb342"}
NAMES = {"nginx": "direct"}
LEFT, WIDTH, BAR, GAP = 110, 480, 14, 30


def draw(lines, results):
    """lines: {name: (title, unit, more is better)}; results: {name: {program: figures}}."""
    shapes, y = [], 24
    for name, (title, unit, more) in lines.items():
        shapes.append(text(10, y, f"{title} ({unit}, {'more' if more else 'less'} is better)", "font-weight='bold'"))
        y += 8
        medians = {p: statistics.median(v) for p, v in results[name].items()}
        longest = max(medians.values())
        for program, value in medians.items():
            length = max(1, WIDTH * value / longest)
            shapes.append(text(LEFT - 6, y + BAR - 3, NAMES.get(program, program), "text-anchor='end'"))
            shapes.append(f"<rect x='{LEFT}' y='{y}' width='{length:.1f}' height='{BAR}' fill='{COLOURS.get(program, '#555')}'/>")
            shapes.append(text(LEFT + length + 6, y + BAR - 3, f"{value:,.4g}", ""))
            y += BAR + 3
        y += GAP
    return (f"<svg xmlns='http://www.w3.org/2000/svg' width='{LEFT + WIDTH + 90}' height='{y}' font-family='sans-serif' font-size='12'>\n"
            f"<rect width='100%' height='100%' fill='white'/>\n" + "\n".join(shapes) + "\n</svg>\n")


def text(x, y, words, more):
    return f"<text x='{x:.1f}' y='{y}' {more}>{escape(words)}</text>"
