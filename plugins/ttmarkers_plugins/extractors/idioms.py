"""What lines of the seventeen programming languages look like: patterns and how telling they are.

Each language has pairs of weight and pattern. A pattern counts once however often it is found: 3 is hardly seen in
other languages, 1 is a hint. TypeScript stands on JavaScript and C++ on C: they count as more only where something of their
own is found.
"""

from __future__ import annotations

import functools
import re
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LINE = 300  # characters of a line that are looked at, so that no pattern takes long
LINES = 400
OWN = 3  # what must be found of a language itself before what it extends counts for it

_EXTENDS = {"typescript": "javascript", "cpp": "c"}

_PATTERNS: dict[str, tuple[tuple[int, str], ...]] = {
    "python": (
        (3, r"^\s*(?:async )?def \w+\(.*(?:\)(?: *->.*)?:\s*(?:#.*)?)?$"),
        (3, r"^\s*(?:if|elif|while|with|except|for) [^{}]*:\s*(?:#.*)?$"),
        (2, r"^\s*(?:else|try|finally|except):\s*(?:#.*)?$"),
        (3, r"^\s*class \w+(?:\([\w., =]*\))?:\s*$"),
        (2, r"^(?:from [\w.]+ import [\w, *(]+|import [\w.]+(?: as \w+)?)\s*$"),
        (2, r"\bself[.,)]"),
        (2, r'^\s*"""'),
        (2, r"^\s*print\([^;]*\)\s*$"),
        (2, r"\b(?:is not None|not in|__\w+__|lambda \w+(?:, \w+)*:)"),
        (1, r"\b(?:None|True|False|elif)\b"),
        (1, r"\b(?:len|range|enumerate|sorted|isinstance|zip|sum|int|str|input)\("),
        (2, r"[\[({].+ for \w+(?:, \w+)* in .+[\])}]"),
        (1, r"^\s*return [^;{}]+$"),
        (1, r"^\s*@\w+[\w.]*(?:\(.*\))?\s*$"),
    ),
    "ruby": (
        (3, r"^\s*end(?:\.\w+.*)?\s*$"),
        (2, r"^\s*def (?:self\.)?\w+[?!=]?(?:\(.*\)| \w+(?:, ?\w+)*)?\s*$"),
        (3, r"^\s*(?:require(?:_relative)? ['\"]|attr_(?:accessor|reader|writer) :|include [A-Z]\w+\s*$|extend self)"),
        (3, r"(?:\bdo|\{) ?\|[\w, ()*&]+\|"),
        (2, r"^\s*(?:elsif|unless|module [A-Z]\w*\s*$|class [A-Z]\w*(?: < [A-Z][\w:]*)?\s*$)"),
        (2, r"^\s*puts\b"),
        (1, r"(?<![\w@])@{1,2}[a-z_]\w*"),
        (1, r"\.(?:each|map|nil\?|empty\?|any\?|all\?|inject|reduce|to_s|to_i|chars|freeze|new)\b"),
        (1, r":\w+ =>|\b\w+\?(?=[\s(.])"),
        (1, r"#\{"),
    ),
    "javascript": (
        (2, r"^\s*(?:export )?(?:const|let) [\w{}\[\], $]+ = "),
        (1, r"^\s*var [\w$]+ = "),
        (2, r"^\s*(?:export (?:default )?)?(?:async )?function\*? ?[\w$]*\("),
        (2, r"\bconsole\.\w+\(|\bdocument\.\w+|\bwindow\.\w+|\brequire\(['\"]|\bmodule\.exports\b"),
        (2, r"^\s*(?:import .* from ['\"]|import ['\"]|export (?:default|class|const|function|\{))"),
        (2, r"(?:\)|\b\w+) => (?:\{|\(|\w)"),
        (2, r"===|!=="),
        (1, r"\b(?:undefined|typeof|null|this\.\w+|new (?:Map|Set|Date|Error|Array|Promise)\b)"),
        (1, r"`[^`]*\$\{"),
        (1, r"^\s*for \((?:const|let) "),
        (1, r"\.(?:forEach|map|filter|reduce|push|length|split|join|then)\b"),
        (1, r"^\s*\w+\([\w, ={}]*\) \{\s*$"),
        (2, r"^\s*(?:\* |/\*\* ?)@(?:param|returns?|type) \{"),
    ),
    "typescript": (
        (4, r"(?:[(,]|^)\s*(?:(?:private|public|protected|readonly) )*\w+\??: "
            r"(?:readonly )?(?:string|number|boolean|any|unknown|void|never|bigint|[A-Z]\w*(?:<.*>)?)(?:\[\])*\s*[,)=;|&]"),
        (4, r"\)\s*: (?:asserts )?[\w<>\[\]|.,{}:; ]+ (?:=>|\{)\s*"),
        (3, r"^\s*(?:export )?(?:const|let|var) \w+\s*: "),
        (3, r"^\s*(?:export )?(?:declare )?(?:interface \w+|type \w+(?:<.*>)? =|enum \w+|abstract class|namespace \w+)"),
        (3, r"\bas const\b|\bas (?:string|number|any|unknown|[A-Z]\w*)\b|\bimport type\b|\bkeyof\b"),
        (3, r"^\s+(?:private|public|protected|readonly|static readonly) (?:readonly )?#?\w+\??(?::|\(| =)"),
        (3, r"^\s*\w+\??: (?:string|number|boolean|any|[A-Z]\w*\[\]);?\s*$"),
        (2, r"\b(?:Map|Set|Array|Promise|Record)<\w"),
        (1, r"\bunknown\b|\w!\.\w"),
    ),
    "java": (
        (4, r"\bpublic static void main\(String|\bSystem\.(?:out|in)\b|^import (?:static )?java"),
        (3, r"^package [\w.]+;"),
        (3, r"@Override\b|@Test\b"),
        (3, r"^\s*(?:public |final |abstract |private |static )*(?:class|interface|enum|record) \w+(?:<.*>)?"
            r"(?:\(.*\))?(?: extends [\w<>, ]+)?(?: implements [\w<>, ]+)? \{"),
        (3, r"^\s+(?:public |private |protected |static |final |abstract )*(?:int|String|boolean|void|double|long|char|"
            r"[A-Z]\w*(?:<.*>)?)(?:\[\])* [a-z]\w*\([^)]*\)(?: throws [\w, ]+)? ?\{"),
        (2, r"\bthrows \w+|\bfinal [\w<>\[\]]+ \w+"),
        (2, r"\b(?:ArrayList|HashMap|HashSet|Scanner|StringBuilder|Collectors|Stream|Integer|Character|Arrays)\b"),
        (2, r"\.(?:equals|length\(\)|charAt|toCharArray|stream\(\)|size\(\)|isEmpty\(\)|chars\(\))"),
        (1, r"\bboolean\b|\bString\b"),
        (1, r"\bnew \w+(?:<.*>)?(?:\(|\[)"),
        (1, r"^\s*(?:private|public|protected) "),
    ),
    "csharp": (
        (4, r"^\s*using (?:static )?[A-Z][\w.]*;|\bConsole\.(?:Write|Read)\w*\("),
        (3, r"^\s*namespace [A-Z][\w.]*\s*[;{]?\s*$"),
        (4, r"\{ (?:get|private get|set)(?:;| =>)|\bget;|\{ get"),
        (3, r"\b(?:public|private|internal|protected) (?:static |async |override |virtual |readonly |abstract )*"
            r"[\w<>\[\]?, .()]+ [A-Z]\w*(?:<\w+>)?\("),
        (2, r"\b(?:public|private|internal) (?:static |sealed |abstract |partial |readonly )*"
            r"(?:class|struct|enum|record|interface) \w+.*[^{]\s*$"),
        (2, r"\bforeach ?\(|\binternal\b|\bsealed\b|\bref \w|\bout (?:var|int|string)\b|\bthrow new \w+Exception\("),
        (3, r"^\s*#(?:pragma|region|endregion|nullable)\b(?! once)|\[(?:Flags|Fact|Theory|Serializable)\b"),
        (2, r"\bstring\b(?!:)|\bdecimal\b|\bobject\b"),
        (1, r"\bvar \w+ = |\bbool\b|\bnew\(\)"),
        (1, r"^\s*\{\s*$"),
        (2, r"\.(?:Select|Where|ToList|ToArray|Length|Count|Add|Contains|Substring|ToString|Aggregate|Any|Sum)\b"),
        (2, r"\$\"|\bthis \w+ \w+[,)]|\bIEnumerable\b|\bDictionary<|\bMath\.[A-Z]"),
        (2, r"^\s+(?:case )?.* => .*[,;]\s*$"),
    ),
    "cpp": (
        (5, r"\bstd::|\busing namespace\b|\bcout\b|\bcin\b|\bendl\b"),
        (5, r"^\s*#include ?<(?:iostream|string|vector|map|memory|algorithm|cmath|cstd\w+|sstream|set|array|utility|"
            r"unordered_\w+|functional|stdexcept|numeric|iterator|optional|chrono|queue|stack|list|tuple|cctype|bitset)>"),
        (4, r"^\s*(?:inline )?namespace \w*(?:::\w+)* ?\{?|^\s*template ?<|^\s*(?:public|private|protected):"),
        (3, r"\bnullptr\b|\bconstexpr\b|\bconst auto\b|\bauto (?:&|const)|\bauto \w+ ?[={]|\b\w+::\w+\(|\boperator\W"),
        (3, r"^\s*class \w+(?: final)?(?: ?: ?(?:public|private) \w+)?\s*\{?;?\s*$|\bvirtual\b|\boverride\b|\bnoexcept\b"),
        (2, r"\b(?:const )?\w+ ?& ?\w+[,)]|\bnew \w+|\bdelete\b|\bstatic_cast<|\bthrow\b"),
        (2, r"\bstring \w+|\bvector<"),
        (1, r"\bbool\b|\) const\b|\benum class\b"),
    ),
    "c": (
        (4, r"^\s*#include ?<(?:stdio|stdlib|string|stdbool|stdint|ctype|math|stddef|limits|assert|errno|time|unistd)\.h>"),
        (2, r"^\s*#include ?\"|^\s*#(?:define|ifndef|ifdef|endif|pragma once)\b"),
        (2, r"\b(?:printf|scanf|malloc|calloc|realloc|free|strlen|strcpy|strcmp|memset|memcpy|sizeof|fprintf|putchar)\("),
        (2, r"^\s*(?:static |const |unsigned |inline |extern |struct )*(?:int|void|char|double|float|bool|size_t|long|"
            r"u?int\d+_t|\w+_t)\s+\*{0,2}\w+\([^)]*\)?\s*[{;,]?\s*$"),
        (2, r"\btypedef\b|^\s*struct \w+ ?\{|^\s*enum \w+ ?\{|\bstruct \w+ ?\*|\bNULL\b"),
        (1, r"\w->\w|\b(?:size_t|u?int\d+_t|unsigned|char ?\*)"),
        (1, r"^\s*(?:int|char|double|float|bool|size_t)\s+\**\w+(?:\[.*\])?\s*(?:=|;|,)"),
        (1, r"^\s*(?:for|if|while|switch) ?\(.*\)\s*\{?\s*$"),
    ),
    "go": (
        (4, r"^package \w+\s*(?://.*)?$"),
        (4, r"^func (?:\(\w+ \*?\w+(?:\[.*\])?\) )?\w+(?:\[.*\])?\((?:(?!->).)*\{?\s*$"),
        (2, r"\w+ := "),
        (3, r"^import (?:\(|\"\w)|\bfmt\.[A-Z]|\berr != nil\b|\berrors\.New\("),
        (3, r"^type \w+ (?:struct|interface|func|map|\[\]|int|string)\b"),
        (2, r"\bfor (?:_|\w+)(?:, \w+)? := range\b|\brange \w+"),
        (1, r"\bnil\b|\bmake\(|\bappend\(|\bmap\[\w+\]|\[\](?:int|string|byte)"),
        (1, r"^\s*(?:var|const) \w+ .*= |^const \("),
    ),
    "rust": (
        (4, r"\blet mut\b|\bpub (?:fn|struct|enum|mod|use|trait|const)\b|\bimpl(?:<.*>)? \w+"),
        (3, r"^\s*(?:pub(?:\(crate\))? )?(?:const |async )?fn \w+(?:<.*>)?\("),
        (3, r"\b(?:println|vec|format|assert|assert_eq|panic|write|todo|unimplemented|matches)!"),
        (3, r"-> (?:Option|Result|Self|&|[iu](?:8|16|32|64|128|size)|String|bool|Vec|impl|Box)\b|&mut\b|&str\b|&(?:mut )?self"),
        (3, r"^\s*use (?:std|crate|super|self|[a-z_]+)::"),
        (2, r"^\s*#!?\[\w+"),
        (2, r"\.(?:unwrap|iter|collect|into_iter|as_str|to_string|clone|chars)\((?:\)|::)|::new\(|\bSome\(|\bOk\("),
        (2, r"\bmatch [\w.&()*]+ \{|^\s*\S.* => .*,\s*$"),
        (1, r"\blet \w+(?:: [\w<>&]+)? = |\bu(?:8|32|64|size)\b|\bi32\b"),
    ),
    "swift": (
        (4, r"\bfunc \w+(?:<.*>)?\(.*\)(?: (?:re)?throws)?(?: -> .*)?\s*\{?\s*$"),
        (3, r"\bguard .*\belse\b|\bif let \w+|\binit\(|\bself\.\w|^import (?:Foundation|UIKit|SwiftUI)"),
        (3, r"\(_ \w+: |\b\w+ \w+: (?:inout )?(?:\[|Int|String|Double|Bool|Character)"),
        (3, r"^\s*(?:extension|protocol) \w+|^\s*(?:mutating|static|private|override|fileprivate) (?:func|let|var)\b"),
        (3, r"^\s*case \.?\w+(?:, \.?\w+)*:?\s*$|\.\w+: return\b|\b0?\.\.<|\bswitch \w+ \{"),
        (2, r"\b(?:let|var) \w+(?:: [\w\[\]:<>?]+)? = |\bvar \w+: [\w\[\]:<>?]+"),
        (1, r"\bnil\b|\?\?|\bstruct \w+(?:: [\w, ]+)? \{|\benum \w+(?:: \w+)?(?:, \w+)* \{|\bimport \w+\s*$"),
        (1, r"\blet \w+ = [^;]*$"),
    ),
    "kotlin": (
        (4, r"\bfun (?:<.*> )?(?:[\w<>?]+\.)?\w+\(.*"),
        (4, r"\b(?:data|enum|sealed|inner|open|annotation) class\b|\bcompanion object\b|^\s*object \w+ \{"),
        (3, r"\bval \w+(?:: [\w<>?]+)?(?: =| by|\s*[,)])"),
        (3, r"\bwhen\s*(?:\(.*\)\s*)?\{|^\s*(?:else|is \w+|in .+) -> "),
        (2, r"\b(?:listOf|mutableListOf|mapOf|mutableMapOf|setOf|arrayOf|require|check|println|buildString|readLine)\("),
        (2, r": (?:Int|String|Boolean|Long|Double|Char|Unit|List<.*>|Map<.*>)\b(?!;)"),
        (1, r"\?\.|\?:|!!|\bvar \w+(?:: \w+)? = |\bit\b|\bby lazy\b|\bis \w+ ->|\buntil\b|\bdownTo\b"),
        (1, r"\.(?:map|filter|forEach|let|also|apply|sumOf|joinToString|toInt|groupBy) ?[({]"),
    ),
    "php": (
        (6, r"<\?php|<\?="),
        (3, r"\$this->|\$\w+->\w|\bfunction \w*\(.*\$\w|\$_(?:GET|POST|SERVER|SESSION)"),
        (2, r"^\s*\$\w+(?:\[.*\])? ?[.+*-]?= .*;\s*$"),
        (2, r"\becho [\"'$].*;|\bforeach ?\(\$\w+ as|\bnamespace [A-Z]\w*(?:\\\w+)*;|\buse [A-Z]\w*\\"),
        (1, r"\b(?:array|strlen|count|implode|explode|isset|array_\w+|str_\w+)\(|declare\(strict_types"),
        (1, r"=> |::class|\?->"),
    ),
    "shell": (
        (6, r"^#!.*\b(?:ba|z|k|da)?sh\b"),
        (3, r"^\s*(?:fi|done|esac|;;)\s*(?:[|>;&].*)?$|;;\s*$"),
        (3, r"\bif (?:! )?\[{1,2} |\bwhile (?:read|\[{1,2} )|^\s*\[{1,2} .*\]{1,2} (?:&&|\|\|)|;\s*(?:then|do)\b|^\s*(?:then|do)\s*$"),
        (2, r"\"?\$\{?[\w@#?*!]+[}\"/: ]|\$\(\(?|\"\$@\""),
        (2, r"^\s*(?:local|export|readonly|declare|set -[a-z]+|unset|shift|trap) ?"),
        (2, r"^\s*echo\b[^;]*$|^\s*printf [\"']|\bexit [01]\b|\s>&2\b"),
        (2, r"^\s*(?:function )?\w+ ?\(\) ?\{"),
        (2, r"\| *(?:grep|awk|sed|sort|head|tail|wc|xargs|tr|cut)\b|^\s*(?:sudo|apt(?:-get)?|cd|ls|mkdir|chmod|chown|cp|mv|rm|git|"
            r"curl|wget|tar|grep|awk|sed|find|cat|pip|npm|docker|kubectl) (?:-|\S+[/.*]|install|clone|\w+ -)"),
    ),
    "haskell": (
        (4, r"^module [A-Z][\w.]*(?: ?\(.*)?(?:.* where)?\s*$|^import (?:qualified )?[A-Z][\w.]*(?: .*)?$(?<!;)"),
        (4, r"^\s*\w+'?(?:, \w+)* :: "),
        (3, r"^(?:data|newtype) [A-Z]\w* .*=?|^instance .* where|\bderiving\b|^class \(?[A-Z].* where"),
        (2, r"^\s*where\b|\bcase .* of\s*$|^\s+\| .* = |\blet .* in\b|<\$>|>>=|\$ do\b|= do\s*$"),
        (2, r"^\w+'?(?: [\w'()\[\]:_,@~]+)* = |\s\. \w|\\\w+ -> "),
        (1, r" <- |\botherwise\b|\bMaybe\b|\bJust\b|\bputStrLn\b|\bfoldr\b|\bzip\b"),
    ),
    "sql": (
        (4, r"(?i:^\s*(?:select\b.+|select\s*$|insert into \S+|update \S+(?: set\b.*)?$|delete from \S+|create (?:or replace )?(?:temp |unique )?"
            r"(?:table|view|index|function|trigger|database)|alter table|drop table|with\s*$|with \w+ as \(|with recursive))"),
        (3, r"(?i:^\s*(?:from \w+(?: (?:as )?\w+)?;?\s*$|from \w+ .*\b(?:join|where)\b|(?:left |inner |right |outer )*join \w+|where \w.*(?:=|<|>|\bin\b|\blike\b|is null)"
            r"|group by|order by|having|limit \d+|union(?: all)?\s*$|values ?\(|(?:set|from|where|values)\s*$))"),
        (3, r"(?i:\bselect\b.{1,200}\bfrom\b \w+)"),
        (2, r"(?i:\b(?:varchar|primary key|not null|foreign key|references|integer|auto_increment)\b)"),
        (1, r"(?i:\b(?:count|sum|avg|max|min|coalesce|substr)\()|^\s*--"),
        (1, r"(?i:\bset \w+ = |\bcase when\b|\bend as\b)"),
    ),
    "cobol": (
        (6, r"(?i:\b(?:identification|environment|data|procedure) division\b|\bworking-storage section\b|\bprogram-id\b)"),
        (3, r"(?i:\bpic(?:ture)? (?:is )?[x9sav(])|\bSTOP RUN\b|\bEND-(?:IF|PERFORM|EVALUATE)\b"),
        (2, r"\bPERFORM\b|\bMOVE .* TO\b|\bDISPLAY\b|\bEVALUATE\b|\bCOMPUTE\b"),
    ),
}  # fmt: skip

_COMPILED = {
    name: tuple((weight, re.compile(pattern, re.MULTILINE)) for weight, pattern in patterns)
    for name, patterns in _PATTERNS.items()
}


@functools.lru_cache(maxsize=8)
def scores(code: str) -> Mapping[str, int]:
    """Return how much in a text speaks for each language; languages for which nothing speaks are left out."""
    text = "\n".join(line[:LINE] for line in code.splitlines()[:LINES])
    own = {
        name: sum(weight for weight, pattern in patterns if pattern.search(text))
        for name, patterns in _COMPILED.items()
    }
    found = {
        name: score + (own[_EXTENDS[name]] if name in _EXTENDS and score >= OWN else 0) for name, score in own.items()
    }
    return MappingProxyType({name: score for name, score in found.items() if score})
