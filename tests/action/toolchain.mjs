// Asks GitHub's own packages: what the editor's validator says of files, and what its evaluator makes of expressions.
import fs from "node:fs";
import { validate } from "@actions/languageservice";
import { data, Evaluator, Lexer, Parser } from "@actions/expressions";
import { TextDocument } from "vscode-languageserver-textdocument";

const asked = JSON.parse(fs.readFileSync(0, "utf8"));
const answer = { files: {}, expressions: [] };
for (const file of asked.files) {
  const document = TextDocument.create(`file://${file}`, "yaml", 0, fs.readFileSync(file, "utf8"));
  const found = await validate(document, {});
  answer.files[file] = found.map((one) => `line ${one.range.start.line + 1}: ${one.message}`);
}
const contexts = JSON.parse(JSON.stringify(asked.contexts), data.reviver);
const names = Object.keys(asked.contexts);
for (const text of asked.expressions) {
  const parsed = new Parser(new Lexer(text).lex().tokens, names, []).parse();
  answer.expressions.push(new Evaluator(parsed, contexts).evaluate().coerceString());
}
console.log(JSON.stringify(answer));
