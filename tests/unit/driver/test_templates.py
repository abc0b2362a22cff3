"""Go templates: what they print, and where they fault. Measured with Docker's client 28.2.2.

The same and more are compared with that client in ``test_client_output.py``,
where the machine has it.
"""

from __future__ import annotations

import datetime

import pytest

from ipvlab.driver.template_values import NilList, NilMap, PointerMap, Struct, Time, quote, show
from ipvlab.driver.templates import Template, TemplateFault

ROW = Struct(
    "*network.networkContext",
    {},
    {
        "Name": (0, lambda: "db_net"),
        "Driver": (0, lambda: "ipvlan"),
        "Label": (1, lambda name: {"tier": "back"}.get(str(name), "")),
    },
    encoded={"Driver": "ipvlan", "Name": "db_net"},
)
VIEW = {
    "Name": "db_net",
    "Labels": {"b": "2", "a": "<1>"},
    "IPAM": {"Config": [{"Subnet": "10.0.0.0/24"}, {"Subnet": "fd01::/64", "Gateway": "fd01::9"}]},
    "Internal": False,
    "Count": 3,
    "Nothing": None,
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain text", "plain text"),
        ("{{.Name}}", "db_net"),
        ("{{ .Name }} {{.Driver}}", "db_net ipvlan"),
        ('{{.Label "tier"}}|{{.Label "x"}}|', "back||"),
        ("{{json .}}", '{"Driver":"ipvlan","Name":"db_net"}'),
        ("{{upper .Name}} {{.Name | upper | lower | title}}", "DB_NET Db_net"),
        ("{{len .Name}} {{index .Name 0}} {{slice .Name 1 3}}", "6 100 b_"),
        ('{{split .Name "_"}} {{join (split .Name "_") "/"}}', "[db net] db/net"),
        ('{{range $i, $p := split .Name "_"}}{{$i}}={{$p}} {{end}}', "0=db 1=net "),
        ('{{range split .Name "_"}}{{if eq . "net"}}{{break}}{{end}}{{.}}{{end}}', "db"),
        ('{{range split .Name "_"}}{{if eq . "db"}}{{continue}}{{end}}{{.}}{{end}}', "net"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ('{{if eq .Name "x" "db_net"}}yes{{else}}no{{end}}', "yes"),
        ('{{if .Label "x"}}a{{else if .Label "tier"}}b{{else}}c{{end}}', "b"),
        ('{{with .Label "tier"}}<{{.}}>{{end}}{{with .Label "x"}}y{{else}}z{{end}}', "<back>z"),
        ("{{$x := .Name}}{{$x = upper $x}}{{$x}} {{$.Name}}", "DB_NET db_net"),
        ("{{with $x := .Name}}{{$x}}{{end}}", "db_net"),
        ('{{define "t"}}<{{.}}>{{end}}{{template "t" .Name}}{{template "t"}}', "<db_net><<no value>>"),
        ('{{block "b" .Name}}({{.}}){{end}}', "(db_net)"),
        ("a {{- .Name -}} b {{/* said nobody */}}c", "adb_netb c"),
        ('{{and 1 0}} {{or 0 "x"}} {{not 1}} {{and .Name .Driver | len}}', "0 x false 6"),
        ('{{lt 1 2}} {{le 2 2}} {{gt "b" "a"}} {{ge 1 2}} {{ne "a" "b"}}', "true true true false true"),
        ('{{printf "%-8s|%q|%5d|%05d|%x|%v|%t|%%" .Name "q" 3 -7 255 1.5 true}}',
         'db_net  |"q"|    3|-0007|ff|1.5|true|%'),
        ('{{printf "%d %s" .Name}}', "%!d(string=db_net) %!s(MISSING)"),
        ('{{printf "%s" .Name 1}}', "db_net%!(EXTRA int=1)"),
        ('{{print 1 2 "a" "b" 3}} {{println 1 "a"}}', "1 2ab3 1 a\n"),
        ("{{1.5}} {{1e6}} {{0x1F}} {{true}} {{'a'}} {{`raw`}}", "1.5 1e+06 31 true 97 raw"),
        ('{{truncate .Name 3}} {{pad .Name 1 2}}| {{pad "" 1 2}}|', "db_  db_net  | |"),
        ('{{html "<a>"}} {{urlquery "a b"}} {{js "\'"}}', "&lt;a&gt; a+b \\'"),
        ("{{.Name | }}", "db_net"),
    ],
)  # fmt: skip
def test_a_template_prints_what_go_prints(template: str, text: str) -> None:
    assert Template(template).run(ROW) == text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.Labels}}", "map[a:<1> b:2]"),
        ("{{.Labels.a}} {{.Labels.x}}|{{index .Labels \"x\"}}|", "<1> <no value>||"),
        ("{{json .Labels}}", '{"b":"2","a":"<1>"}'),
        ("{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "a=<1>;b=2;"),
        (
            "{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}};{{end}}",
            "10.0.0.0/24 <no value>;fd01::/64 fd01::9;",
        ),
        ("{{(index .IPAM.Config 1).Gateway}}", "fd01::9"),
        ("{{.Internal}} {{.Count}} {{.Nothing}} {{len .Labels}}", "false 3 <nil> 2"),
        ("{{.Absent}} {{.Absent.Too}}", "<no value> <no value>"),
    ],
)  # fmt: skip
def test_maps_and_lists_are_reached_into(template: str, text: str) -> None:
    assert Template(template).run(VIEW) == text


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("{{", "unclosed action"),
        ("{{.Name", "unclosed action"),
        ("{{.Name}", "bad character U+007D '}'"),
        ("{{if}}x{{end}}", "missing value for if"),
        ("{{if .Name}}x", "unexpected EOF"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{else}}", "unexpected {{else}}"),
        ("{{foo}}", 'function "foo" not defined'),
        ("{{$y}}", 'undefined variable "$y"'),
        ("{{break}}", "{{break}} outside {{range}}"),
        ("{{.Name.}}", "unexpected <.> in operand"),
        ("{{(.Name}}", "unclosed left paren"),
        ("{{.Name)}}", "unexpected right paren"),
        ('{{"abc}}', "unterminated quoted string"),
        ("{{/* abc}}", "unclosed comment"),
        ("{{.Name | 3}}", "non executable command in pipeline stage 2"),
    ],
)
def test_a_template_that_cannot_be_read_says_why(template: str, fault: str) -> None:
    with pytest.raises(TemplateFault) as caught:
        Template(template)
    assert str(caught.value) == f"template: :1: {fault}"


NO_FIELD = "can't evaluate field Foo in type"


@pytest.mark.parametrize(
    ("template", "where", "at", "fault"),
    [
        ("{{.Foo}}", "1:2", ".Foo", f"{NO_FIELD} *network.networkContext"),
        ("{{.Name.Foo}}", "1:7", ".Name.Foo", f"{NO_FIELD} string"),
        ("\n {{.Foo}}", "2:3", ".Foo", f"{NO_FIELD} *network.networkContext"),
        ("{{range .Name}}{{end}}", "1:8", ".Name", "range can't iterate over db_net"),
        ("{{.Name 1}}", "1:2", ".Name", "wrong number of args for Name: want 0 got 1"),
        ("{{lt 1}}", "1:2", "lt", "wrong number of args for lt: want 2 got 1"),
        ("{{printf}}", "1:2", "printf", "wrong number of args for printf: want at least 1 got 0"),
        ("{{len 3}}", "1:2", "len 3", "error calling len: len of type int"),
        ("{{index 1 2}}", "1:2", "index 1 2", "error calling index: can't index item of type int"),
        ('{{eq 1 "a"}}', "1:2", 'eq 1 "a"', "error calling eq: incompatible types for comparison"),
        ("{{upper 3}}", "1:8", "3", "expected string; found 3"),
        ("{{nil}}", "1:2", "nil", "nil is not a command"),
        ('{{template "x"}}', "1:11", '{{template "x"}}', 'template "x" not defined'),
    ],
)
def test_a_template_that_cannot_be_carried_out_says_where_and_why(
    template: str, where: str, at: str, fault: str
) -> None:
    with pytest.raises(TemplateFault) as caught:
        Template(template).run(ROW)
    assert str(caught.value) == f'template: :{where}: executing "" at <{at}>: {fault}'


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("{{.Foo}}", '1:2: executing "" at <.Foo>: map has no entry for key "Foo"'),
        ("{{.IPAM.Foo}}", '1:7: executing "" at <.IPAM.Foo>: map has no entry for key "Foo"'),
        ("{{.Nothing.Foo}}", '1:10: executing "" at <.Nothing.Foo>: nil data; no entry for key "Foo"'),
    ],
)
def test_keys_may_be_wanted(template: str, fault: str) -> None:
    with pytest.raises(TemplateFault) as caught:
        Template(template).run(VIEW, wants_keys=True)
    assert str(caught.value) == f"template: :{fault}"


def test_a_template_has_a_name_in_its_faults() -> None:
    with pytest.raises(TemplateFault, match=r'template: version:1:2: executing "version" at <\.X>'):
        Template("{{.X}}", "version").run(ROW)


def test_in_a_header_functions_leave_texts_alone() -> None:
    template = Template('{{upper .Name}} {{truncate .Name 2}} {{join .Name ","}} {{json .Name}}')
    assert template.run({"Name": "name"}, is_header=True) == "name name name name"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Time(datetime.datetime(2026, 1, 2, 3, 4, 5, 120000, tzinfo=datetime.UTC)),
         "2026-01-02 03:04:05.12 +0000 UTC"),
        (Struct("x", {"A": 1, "B": "b", "C": ["d"]}), "{1 b [d]}"),
        (NilList(), "[]"),
        (NilMap(), "map[]"),
        (PointerMap(a=1), "map[a:1]"),
        (100000.0, "100000"),
        (123456789.0, "1.23456789e+08"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (1e21, "1e+21"),
    ],
)  # fmt: skip
def test_values_are_shown_as_go_shows_them(value: object, text: str) -> None:
    assert show(value) == text


def test_lists_and_maps_that_were_never_made_are_null_in_json() -> None:
    seen = {
        "a": NilList(),
        "b": NilMap(),
        "c": [],
        "d": Time(datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)),
    }
    assert Template("{{json .}}").run(seen) == '{"a":null,"b":null,"c":[],"d":"2026-01-02T00:00:00Z"}'


def test_texts_are_quoted_as_go_quotes_them() -> None:
    assert quote('a"b\\c\n\té\x00\u200b') == '"a\\"b\\\\c\\n\\té\\x00\\u200b"'
