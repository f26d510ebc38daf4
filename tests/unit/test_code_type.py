"""Programming languages: by fence, by idiom, and none for prose."""

from __future__ import annotations

import pytest

from ttmarkers_plugins.extractors.code import CodeTypeExtractor, looks_like_code
from ttmarkers_plugins.marker_types import CODE_TYPES

EXTRACTOR = CodeTypeExtractor()
SAMPLES = {
    "python": "import os\n\ndef load(path):\n    with open(path) as f:\n        return f.read()\n",
    "javascript": "const add = (a, b) => {\n  console.log(a);\n  return a + b;\n};\nmodule.exports = add;\n",
    "typescript": "interface User {\n  name: string;\n}\nexport function greet(user: User): string {\n  return user.name;\n}\n",
    "cpp": "#include <iostream>\nusing namespace std;\nint main() {\n    cout << 1 << endl;\n    return 0;\n}\n",
    "c": '#include <stdio.h>\nint main(void) {\n    printf("%d\\n", 1);\n    return 0;\n}\n',
    "java": 'public class Main {\n    public static void main(String[] args) {\n        System.out.println("hi");\n    }\n}\n',
    "csharp": 'using System;\n\nclass Program\n{\n    static void Main()\n    {\n        Console.WriteLine("hi");\n    }\n}\n',
    "go": 'package main\n\nimport "fmt"\n\nfunc main() {\n\tx := 1\n\tfmt.Println(x)\n}\n',
    "rust": 'fn main() {\n    let mut x = 1;\n    x += 1;\n    println!("{}", x);\n}\n',
    "swift": 'import Foundation\n\nfunc greet(name: String) -> String {\n    guard !name.isEmpty else { return "" }\n    return name\n}\n',
    "kotlin": "fun main() {\n    val names = listOf(1, 2)\n    println(names.map { it + 1 })\n}\n",
    "ruby": "class Dog\n  attr_reader :name\n  def bark\n    puts name\n  end\nend\n",
    "php": "<?php\nfunction add($a, $b) {\n    return $a + $b;\n}\necho add(1, 2);\n",
    "shell": '#!/bin/bash\nfor f in *.txt; do\n  echo "$f"\ndone\n',
    "haskell": "module Main where\n\nadd :: Int -> Int -> Int\nadd x y = x + y\n\nmain = do\n  print (add 1 2)\n",
    "sql": "SELECT name, COUNT(*)\nFROM users\nWHERE age > 3\nGROUP BY name;\n",
    "cobol": "       IDENTIFICATION DIVISION.\n       PROGRAM-ID. HELLO.\n       PROCEDURE DIVISION.\n           DISPLAY 'HI'.\n           STOP RUN.\n",
}  # fmt: skip


def find(text: str) -> str | None:
    """Return the code type of a completion."""
    found = EXTRACTOR._one(text)
    return str(found["code_type"].value) if found else None


def test_samples_cover_the_taxonomy() -> None:
    """Every language of the taxonomy has a sample."""
    assert set(SAMPLES) == set(CODE_TYPES)


@pytest.mark.parametrize("language", CODE_TYPES)
def test_bare_and_fenced_code(language: str) -> None:
    """Code is told without a fence, and in one without an info string."""
    assert find(SAMPLES[language]) == language
    assert find(f"Here it is:\n\n```\n{SAMPLES[language]}```\nDone.") == language


@pytest.mark.parametrize(
    ("info", "language"),
    [("py", "python"), ("JS", "javascript"), ("c++", "cpp"), ("sh", "shell"), ("golang", "go"), ("C#", "csharp"),
     ("python title=x", "python"), ("{.ruby}", "ruby"), ("language-rust", "rust")],
)  # fmt: skip
def test_the_fence_has_the_word(info: str, language: str) -> None:
    """An info string is believed, in any spelling."""
    assert find(f"```{info}\nx\n```") == language


def test_a_language_outside_the_taxonomy() -> None:
    """Lua and plain output have no marker."""
    assert find("```lua\nlocal x = 1\n```") is None
    assert find("```text\nfoo bar\n```") is None


def test_several_languages() -> None:
    """The longest comes first, the others are kept."""
    found = EXTRACTOR._one("```sql\nSELECT 1;\n```\nand\n```python\nimport os\nprint(os.getcwd())\n```")
    assert (found["code_type"].value, found["code_type"].others) == ("python", ("sql",))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The function of the heart (an organ) is to pump blood; it does so all day.",
        "1. Buy milk\n2. Call Ann (the plumber)\n3. Sleep",
        "Cat = animal\nOak = plant\nGranite = stone",
        "P(A/B) = P(B/A) * P(A) / P(B)",
        "To select a class from the list, open the menu and import your data. Then return to the start.",
    ],
)
def test_prose_has_none(text: str) -> None:
    """Words that also occur in programs do not make a program."""
    assert find(text) is None
    assert not looks_like_code("just some words here")
