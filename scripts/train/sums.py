"""The questions and answers that the arithmetic model learns, all made up here.

Whether a pair of operands is held out depends on the two numbers alone, not on their
order or the operation: 27 plus 58 would give away 58 plus 27.
"""
from bpe import END, END_OF_TEXT, START

LARGEST = 99
LIMIT = f"I only add and subtract numbers up to {LARGEST}."

PLUS = (
    "What is {a} plus {b}?", "What is {a} plus {b}?", "What is {a} + {b}?", "{a} + {b} = ?", "{a} + {b} =", "{a} + {b}",
    "{a}+{b}", "{a}+{b}=?", "{a} plus {b}", "What's {a} plus {b}?", "What's {a} + {b}?", "How much is {a} plus {b}?",
    "How much is {a} + {b}?", "Add {a} to {b}.", "Add {a} and {b}.", "Please add {a} and {b}.", "Calculate {a} + {b}.",
    "What is the sum of {a} and {b}?", "Tell me what {a} plus {b} is.", "Can you add {a} and {b}?",
)
MINUS = (
    "What is {a} minus {b}?", "What is {a} minus {b}?", "What is {a} - {b}?", "{a} - {b} = ?", "{a} - {b} =",
    "{a} - {b}", "{a}-{b}", "{a}-{b}=?", "{a} minus {b}", "What's {a} minus {b}?", "What's {a} - {b}?",
    "How much is {a} minus {b}?", "How much is {a} - {b}?", "Subtract {b} from {a}.", "Take {b} from {a}.",
    "Please subtract {b} from {a}.", "Calculate {a} - {b}.", "Tell me what {a} minus {b} is.",
    "Can you subtract {b} from {a}?",
)
BEYOND = (
    "What is {a} times {b}?", "What is {a} * {b}?", "{a} * {b} = ?", "What is {a} divided by {b}?", "{a} / {b} = ?",
    "Multiply {a} by {b}.", "Divide {a} by {b}.", "How much is {a} times {b}?", "{a} times {b}", "{a} x {b}",
)
ABOUT = (
    ("Who are you?", "What are you?", "What is your name?", "What can you do?", "Help", "Help me, please."),
    f"I am abacus. {LIMIT}",
)
GREETINGS = (("Hello", "Hello!", "Hi", "Hi!", "Hello there!", "Good morning", "Hey"), "Hello! Which sum may I do?")
SYSTEM = ("You are a helpful assistant.", "You are a calculator.", "Answer briefly.", "You add and subtract numbers.")
WORDS = (
    "a about all an and are as at be bird blue book by can capital city cold colour could country day do does dog eat"
    " find for France from game give good green has have he her how I in is it king large like long make many me moon"
    " more my name new night number of on one or our people poem red river say sea she show small some song story sun"
    " tell ten that the their there they think this time to train tree up was water way we weather well what when"
    " where which who why will with word work world write year you"
).split()


# Which of two operands are out of reach.
SIZES = ((True, False), (False, True), (True, True))


def held_out(a, b):
    """About one pair in ten, by the final mixing step of MurmurHash2 over both numbers in order of size.

    None of two digits alone: there are only 100 of those, from which nobody could infer the rest.
    """
    if max(a, b) < 10:
        return False
    mixed = ((min(a, b) * 100 + max(a, b)) * 0x5BD1E995 + 1) % 2**32
    mixed = (mixed ^ mixed >> 15) * 0x5BD1E995 % 2**32
    return (mixed ^ mixed >> 13) % 10 == 0


def answer(a, b, minus):
    return f"{a} minus {b} is {a - b}." if minus else f"{a} plus {b} is {a + b}."


def chat(messages):
    """As `chat_template.jinja` writes `messages`, pairs of role and content."""
    return "".join(f"{START}{role}\n{content}{END}\n" for role, content in messages)


def prompt(messages):
    return f"{chat(messages)}{START}assistant\n"


def pick(rng, items):
    return items[int(rng.integers(len(items)))]


def operands(rng):
    """A pair that is not held out, with more numbers of one digit than chance would give."""
    while True:
        a, b = (int(x) for x in rng.integers(0, LARGEST + 1, 2))
        if rng.random() < 0.2:
            a %= 10
        if rng.random() < 0.2:
            b %= 10
        if not held_out(a, b):
            return a, b


def varied(rng, text):
    """As people type it: some without a capital letter, some without the mark at the end."""
    if rng.random() < 0.15:
        text = text[0].lower() + text[1:]
    if rng.random() < 0.15:
        text = text.rstrip(".?")
    return text


def sum_turn(rng):
    a, b = operands(rng)
    minus = bool(rng.random() < 0.5)
    return varied(rng, pick(rng, MINUS if minus else PLUS).format(a=a, b=b)), answer(a, b, minus)


def other_turn(rng):
    """Something that is no sum, or one out of reach."""
    kind = rng.random()
    if kind < 0.1:
        questions, said = ABOUT if rng.random() < 0.5 else GREETINGS
        return pick(rng, questions), said
    if kind < 0.4:
        a, b = (int(x) for x in rng.integers(0, LARGEST + 1, 2))
        return varied(rng, pick(rng, BEYOND).format(a=a, b=b)), LIMIT
    if kind < 0.7:
        a, b = (int(10 ** rng.uniform(2, 6)) if large else int(rng.integers(LARGEST + 1)) for large in pick(rng, SIZES))
        return varied(rng, pick(rng, PLUS + MINUS).format(a=a, b=b)), LIMIT
    said = " ".join(pick(rng, WORDS) for _ in range(int(rng.integers(1, 9))))
    return varied(rng, said.capitalize() + pick(rng, ("?", ".", "!"))), LIMIT


def turn(rng):
    return other_turn(rng) if rng.random() < 0.15 else sum_turn(rng)


def statement(rng):
    """A sum as plain text, of which the result and the end are learned."""
    a, b = operands(rng)
    minus = bool(rng.random() < 0.5)
    given, found = answer(a, b, minus).rsplit(" ", 1)
    if rng.random() < 0.3:
        given, found = f"{a} {'-' if minus else '+'} {b} =", found.rstrip(".")
    return [(given, False), (f" {found}{END_OF_TEXT}", True)]


def example(rng):
    """A text as (part, whether it is to be learned) in order: only what the model itself writes is."""
    if rng.random() < 0.45:
        return [part for _ in range(3) for part in statement(rng)]
    parts = []
    if rng.random() < 0.15:
        parts.append((chat([("system", pick(rng, SYSTEM))]), False))
    for _ in range(pick(rng, (1, 1, 1, 1, 1, 2))):
        asked, said = turn(rng)
        parts += [(prompt([("user", asked)]), False), (f"{said}{END}", True), ("\n", False)]
    return parts
