// Answers the queries of `answers.jsonl` anew with the obfuscator of the Go agent: `go run . < answers.jsonl > new.jsonl`.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
	"slices"

	"github.com/DataDog/datadog-agent/pkg/obfuscate"
)

// One query, and what became of it.
type answer struct {
	Mode    string   `json:"mode,omitempty"`
	Options []string `json:"options,omitempty"`
	Dbms    string   `json:"dbms,omitempty"`
	Query   string   `json:"query"`
	Result  string   `json:"result"`
	Tables  string   `json:"tables,omitempty"`
	Error   bool     `json:"error,omitempty"`
}

func (a *answer) fill() {
	has := func(option string) bool { return slices.Contains(a.Options, option) }
	obfuscator := obfuscate.NewObfuscator(obfuscate.Config{SQL: obfuscate.SQLConfig{
		ObfuscationMode:               obfuscate.ObfuscationMode(a.Mode),
		TableNames:                    has("table_names"),
		ReplaceDigits:                 has("replace_digits"),
		KeepSQLAlias:                  has("keep_sql_alias"),
		DollarQuotedFunc:              has("dollar_quoted_func"),
		KeepNull:                      has("keep_null"),
		KeepBoolean:                   has("keep_boolean"),
		KeepPositionalParameter:       has("keep_positional_parameter"),
		KeepTrailingSemicolon:         has("keep_trailing_semicolon"),
		KeepIdentifierQuotation:       has("keep_identifier_quotation"),
		ReplaceBindParameter:          has("replace_bind_parameter"),
		RemoveSpaceBetweenParentheses: has("remove_space_between_parentheses"),
		KeepJSONPath:                  has("keep_json_path"),
	}})
	result, err := obfuscator.ObfuscateSQLStringForDBMS(a.Query, a.Dbms)
	a.Result, a.Tables, a.Error = "", "", err != nil
	if err == nil {
		a.Result, a.Tables = result.Query, result.Metadata.TablesCSV
	}
}

func main() {
	in, out := json.NewDecoder(os.Stdin), bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for in.More() {
		var a answer
		if err := in.Decode(&a); err != nil {
			log.Fatal(err)
		}
		a.fill()
		if err := encoder.Encode(a); err != nil {
			log.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}
