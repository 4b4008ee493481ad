/**
 * Light syntax colouring: comments, strings, numbers, keywords, names that are called.
 *
 * One pass with one regular expression a language family; what it does not know stays plain.
 */

const words = (text) => new Set(text.split(' '));

const C_LIKE = words('if else for while do switch case default break continue return try catch finally throw new delete class struct enum interface extends implements import export from as package public private protected static final const let var function void int long short char float double bool boolean string unsigned signed true false null undefined this super typeof instanceof in of async await yield namespace using template typename auto virtual override abstract sealed readonly get set type declare module func go defer chan map range select fallthrough var struct nil fn impl trait pub mut match loop where use crate mod self Self dyn move ref unsafe println val fun when object data companion guard protocol extension echo require foreach');
const PYTHON = words('and as assert async await break case class continue def del elif else except finally for from global if import in is lambda match nonlocal not or pass raise return try while with yield True False None self cls');
const SHELL = words('if then else elif fi for in do done while until case esac function return export local readonly set unset source exit cd echo sudo apt pip python npm git docker make curl mkdir rm cp mv cat grep sed awk');
const SQL = words('select from where and or not null insert into values update set delete create table index view drop alter add column primary key foreign references join left right inner outer full on group by order having limit offset union all distinct as case when then else end exists in is like between with returning count sum avg min max');
const RUBY = words('def end class module if elsif else unless while until for in do begin rescue ensure raise return yield self nil true false and or not then case when require attr_accessor puts new');
const DATA = words('true false null yes no on off');

const STRING = `"(?:\\\\.|[^"\\\\\\n])*"|'(?:\\\\.|[^'\\\\\\n])*'`;
const NUMBER = '\\b0x[\\da-fA-F_]+\\b|\\b\\d[\\d_]*(?:\\.\\d+)?(?:[eE][+-]?\\d+)?\\b';
const NAME = '[A-Za-z_$][\\w$]*';

function family({ comment, string = STRING, keywords, ignoreCase = false, key = null }) {
  const parts = [`(?<comment>${comment})`];
  if (key) parts.push(`(?<key>${key})`);
  parts.push(`(?<string>${string})`, `(?<number>${NUMBER})`, `(?<name>${NAME})`);
  return { pattern: new RegExp(parts.join('|'), 'gm'), keywords, ignoreCase };
}

const SLASHES = '\\/\\/[^\\n]*|\\/\\*[\\s\\S]*?(?:\\*\\/|$(?![\\s\\S]))';
const HASH = '(?<=^|\\s)#[^\\n]*';

const FAMILIES = {
  c: family({ comment: SLASHES, string: `${STRING}|\`(?:\\\\.|[^\`\\\\])*\``, keywords: C_LIKE }),
  python: family({
    comment: '#[^\\n]*',
    string: `[rRbBfFuU]{0,2}(?:"""[\\s\\S]*?(?:"""|$(?![\\s\\S]))|'''[\\s\\S]*?(?:'''|$(?![\\s\\S]))|${STRING})`,
    key: '^\\s*@[\\w.]+',
    keywords: PYTHON,
  }),
  shell: family({ comment: HASH, key: '\\$\\{?\\w+\\}?|(?<=\\s)--?[\\w-]+', keywords: SHELL }),
  sql: family({ comment: '--[^\\n]*|\\/\\*[\\s\\S]*?\\*\\/', keywords: SQL, ignoreCase: true }),
  ruby: family({ comment: '#[^\\n]*', key: ':[a-z_]\\w*|@\\w+', keywords: RUBY }),
  data: family({
    comment: `${HASH}|^\\s*;[^\\n]*`,
    key: '"(?:\\\\.|[^"\\\\\\n])*"(?=\\s*:)|^\\s*(?:- )?[\\w.-]+(?=\\s*[:=])|^\\s*\\[[^\\]\\n]+\\]\\s*$',
    keywords: DATA,
  }),
  markup: family({ comment: '<!--[\\s\\S]*?(?:-->|$(?![\\s\\S]))', key: '<\\/?[\\w:-]+|\\/?>', keywords: new Set() }),
  css: family({ comment: SLASHES, key: '[\\w-]+(?=\\s*:)|@[\\w-]+|[.#][\\w-]+', keywords: new Set() }),
  diff: { pattern: /^(?<string>\+.*)$|^(?<removed>-.*)$|^(?<key>@@.*)$/gm, keywords: new Set() },
};

const LANGUAGES = {
  c: 'c cpp c++ h hpp cc cs csharp java js javascript jsx mjs ts typescript tsx go golang rust rs kotlin kt swift php dart scala',
  python: 'python py python3 pyi',
  shell: 'bash sh shell zsh console terminal powershell ps1 dockerfile docker makefile make',
  sql: 'sql sqlite postgres postgresql mysql',
  ruby: 'ruby rb',
  data: 'json jsonc json5 yaml yml toml ini cfg conf env properties',
  markup: 'html xml svg htm vue',
  css: 'css scss less',
  diff: 'diff patch',
};

const FAMILY_OF = new Map(
  Object.entries(LANGUAGES).flatMap(([name, tags]) => tags.split(' ').map((tag) => [tag, FAMILIES[name]])));

/** Append `code` to `parent`, coloured as `language` where that is a known one. */
export function highlight(parent, code, language) {
  const rules = FAMILY_OF.get(language.toLowerCase());
  let done = 0;
  if (rules) {
    for (const match of code.matchAll(rules.pattern)) {
      const kind = kindOf(match, rules, code);
      if (!kind) continue;
      if (match.index > done) parent.append(code.slice(done, match.index));
      const span = document.createElement('span');
      span.className = `tok-${kind}`;
      span.textContent = match[0];
      parent.append(span);
      done = match.index + match[0].length;
    }
  }
  if (done < code.length) parent.append(code.slice(done));
}

function kindOf(match, rules, code) {
  const groups = match.groups;
  if (groups.name === undefined) {
    return Object.keys(groups).find((name) => groups[name] !== undefined);
  }
  const word = rules.ignoreCase ? groups.name.toLowerCase() : groups.name;
  if (rules.keywords.has(word)) return 'keyword';
  return code[match.index + match[0].length] === '(' ? 'call' : null;
}
