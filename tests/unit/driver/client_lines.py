"""Command lines and formats that the lab's commands and Docker's own client are both given."""

from __future__ import annotations

#: Formats for ``network ls``, good and bad.
FORMATS = r"""
{{.Name}}
{{.Foo}}
{{.Name.Foo}}
{{.Label "tier"}}|
{{.Label}}
{{.Name 1}}
{{json .}}
{{json .Name}} {{json .Labels}}
{{.ID}} {{.Driver}} {{.Scope}} {{.IPv4}} {{.IPv6}} {{.Internal}} {{.Labels}}
{{printf "%-10s|%q|%5d|%05d|%x|%v|%t|%%|%s" .Name .ID 3 -7 255 .IPv6 true 4}}
{{printf "%d %s" .Name}}
{{printf "%s" .Name 1 "x"}}
{{printf "%8.3f %v %e %c %T %+d %#v" 1.5 0.25 1e21 65 .Name 4 "q"}}
{{range .Name}}x{{end}}
{{range $i, $c := split .Name "_"}}{{$i}}={{$c}} {{else}}none{{end}}
{{range 3}}{{.}}{{end}}
{{range split .Name "_"}}{{if eq . "net"}}{{continue}}{{end}}[{{.}}]{{end}}
{{range split .Name "_"}}{{break}}{{end}}
{{if eq .Name "net9"}}yes{{else if eq .Driver "null"}}null{{else}}no{{end}}
{{with .Label "tier"}}{{.}}{{else}}-{{end}}
{{with $x := .Name}}{{$x}}{{end}}
{{$x := .Name}}{{$x = upper $x}}{{$x}}
{{$y}}
{{define "x"}}<{{.}}>{{end}}{{template "x" .Name}}{{template "x"}}
{{block "b" .Name}}({{.}}){{end}}
{{template "nosuch"}}
{{.Name}}{{/* a comment */}}|{{- " x " -}} |
{{- .Name -}} x
{{upper .Name}} {{lower "ABC"}} {{title .Name}} {{title "ab c-d"}} {{len .Name}}
{{truncate .Name 3}} {{pad .Name 2 2}}| {{pad "" 2 2}}|
{{split .Name "_"}} {{join (split .Name "_") "/"}} {{index (split .Name "_") 0}}
{{slice .Name 1 3}} {{slice .Name 1}} {{index .Name 0}}
{{slice .Name 9 3}}
{{index (split .Name "_") 7}}
{{index 1 2}}
{{len 3}}
{{and 1 0}} {{or 0 "x"}} {{not 1}} {{and .Name .ID | len}} {{or}}
{{lt 1 2}} {{le 2 2}} {{gt "b" "a"}} {{ge 1 2}} {{eq 1 1 2}} {{ne "a" "b"}} {{eq .Name "a" "none"}}
{{eq 1 "a"}}
{{eq 1}}
{{lt 1}}
{{lt true false}}
{{printf}}
{{upper 3}}
{{upper .Name .ID}}
{{truncate .Name "x"}}
{{.Name | printf "%s-%s" "b"}} {{"a" | len}} {{.Name | upper | lower}}
{{print 1 2 "a" "b" 3 true nil}}
{{println 1 "a"}}{{print 1.5 2.0 1e6 1e21}}
{{html "<a b='c'>&\"" }} {{js "it's <\"x\">"}} {{urlquery "a b/c?d=é"}}
{{1}} {{1.50}} {{true}} {{"x\ty"}} {{`raw "x"`}} {{'a'}} {{0x1F}} {{0b11}} {{1_000}}
{{nil}}
{{foo}}
{{.Name | foo}}
{{
{{.Name
{{if}}x{{end}}
{{if .Name}}x
{{end}}
{{else}}
{{.Name}
{{"abc}}
{{`abc}}
{{/* abc}}
{{break}}
{{(.Name}}
{{.Name)}}
{{.Name.}}
{{range}}{{end}}
{{.Name | }}
{{| .Name}}
{{"x".Foo}}
{{@}}
{{3 .Name}}
{{.Name | 3}}
{{define "a"}}x{{end}}
{{range $i, $j, $k := .Name}}{{end}}
{{$a, $b := .Name}}
x{{/**/}}y
{{.Name}}\t|\n-
{{ .Name }}{{ "" }}
{{.Foo.Bar.Baz}} with a very long rest of the template
{{index .Name "a very long key that is cut"}}
"""
NETWORK_TEMPLATES = r"""
json
{{.Name}} {{.Id}} {{.ID}} {{.Scope}} {{.Driver}} {{.EnableIPv6}} {{.EnableIPv4}} {{.Internal}} {{.Attachable}}
{{json .}}
{{.Foo}}
{{.Foo.Bar}}
{{.IPAM}}
{{.IPAM.Config}} {{json .IPAM.Config}} {{json .IPAM}}
{{.IPAM.Foo}}
{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}} {{.IPRange}}|{{.AuxAddress}};{{end}}
{{range .IPAM.Config}}{{.AuxiliaryAddresses}};{{end}}
{{(index .IPAM.Config 0).Subnet}}
{{index .IPAM.Config 3}}
{{.Containers}}
{{len .Containers}} {{range .Containers}}{{.Name}} {{.IPv4Address}} {{.MacAddress}}|{{end}}
{{range $k, $v := .Containers}}{{$k}}={{$v.Name}} {{json $v}}{{end}}
{{.Labels}} {{.Labels.tier}} {{.Labels.q}} {{index .Labels "q"}}| {{index .Labels "tier"}} {{json .Labels}}
{{.Options}} {{.Options.parent}} {{with .Options}}{{.ipvlan_mode}}{{end}}
{{range $k, $v := .Options}}{{$k}}={{$v}} {{end}}
{{.Created}} {{json .Created}}
{{.ConfigFrom}} {{.ConfigFrom.Network}}| {{.Peers}} {{.Services}} {{json .Peers}}
{{if .Internal}}a{{else if .Attachable}}b{{else}}c{{end}}
{{index .Foo "x"}}
{{
{{foo}}
{{len .Foo}}
"""
CONTAINER_TEMPLATES = r"""
json
{{.Name}} {{.Id}} {{.ID}} {{.Path}} {{.Args}} {{.Driver}} {{.Platform}} {{.RestartCount}} {{.Image}}
{{json .}}
{{.State.Status}} {{.State.Running}} {{.State.ExitCode}} {{.State.StartedAt}} {{.State.FinishedAt}}
{{json .State}} {{json .NetworkSettings.Networks}} {{json .Config}} {{json .HostConfig}}
{{range .NetworkSettings.Networks}}{{.IPAddress}}/{{.IPPrefixLen}} {{.Gateway}}|{{.NetworkID}} {{end}}
{{range $k, $v := .NetworkSettings.Networks}}{{$k}}:{{$v.IPAddress}} {{$v.Aliases}} {{$v.DNSNames}} {{end}}
{{(index .NetworkSettings.Networks "db_net").GlobalIPv6Address}}
{{.NetworkSettings.Networks.db_net.IPAddress}} {{.NetworkSettings.Networks.nosuch}}
{{.HostConfig.NetworkMode}} {{.HostConfig.AutoRemove}} {{.Config.Hostname}} {{.Config.Cmd}} {{.Config.Image}}
{{.Config.Env}} {{index .Config.Env 0}} {{.Config.Labels}} {{.Config.Labels.tier}}
{{.Foo}}
{{.State.Foo}}
{{.State.Pid}} {{.Created}} {{.Mounts}} {{.ExecIDs}}
{{if .State.Running}}up{{else}}down{{end}}
{{
"""
PS_TEMPLATES = r"""
{{.ID}} {{.Names}} {{.Image}} {{.Command}} {{.State}} {{.Status}} {{.RunningFor}} {{.CreatedAt}}
{{.Networks}} {{.Labels}} {{.Label "tier"}}|{{.Mounts}}|{{.Ports}}|{{.Size}} {{.LocalVolumes}} {{.Platform}}
{{json .}}
json
raw
table
table {{.Names}}\t{{.Status}}
table {{.Names}}\t{{.Networks}}\t{{.Labels}}\t{{.Label "com.example.my-tier"}}
table {{.ID}} {{.LocalVolumes}} {{.Size}} {{.Mounts}} {{.State}} {{.CreatedAt}} {{.Platform}}
table {{upper .Names}}\t{{len .ID}}
table {{.Foo}}
{{.Foo}}
{{.Names.Foo}}
{{foo}}
{{
tablet
"""
LINES = r"""
network ls
network list
network ls --no-trunc
network ls -q
network ls -q --no-trunc
network ls -f driver=ipvlan
network ls -f driver=ipvlan -f driver=null
network ls -f name=net
network ls -f name=^net9$
network ls -f name=o -f driver=host
network ls -f label=tier
network ls -f label=tier=back
network ls -f label=tier -f label=nosuch
network ls -f type=custom
network ls -f type=builtin
network ls -f type=x
network ls -f dangling=true
network ls -f dangling=false
network ls -f dangling=x
network ls -f scope=local
network ls -f scope=swarm
network ls -f foo=bar
network ls -f id=0
network ls -f ''
network ls --format json
network ls --format table
network ls --format raw
network ls -q --format raw
network ls -q --format table
network ls -q --format '{{.Name}}'
network ls -q --format json
network ls -q --format 'table {{.Name}}'
network ls --format 'table {{.Name}}\t{{.Driver}}'
network ls --format 'table {{.Name}}\t{{upper .Driver}}\t{{.Label "tier"}}'
network ls --format 'table {{.ID}} {{.IPv4}} {{.IPv6}} {{.Internal}} {{.Labels}} {{.CreatedAt}}'
network ls --format 'table {{.Foo}}'
network ls --format 'table{{.Name}}'
network ls --format 'TABLE {{.Name}}'
network ls --format ' {{.Name}} '
network ls -f name=nosuch
network ls -f name=nosuch --format 'table {{.Foo}}\t{{.Name}}'
network inspect db_net
network inspect db_net net9
network inspect nosuch
network inspect db_net nosuch other
network inspect bridge host none
network inspect -f '{{.Name}}' db_net nosuch
network inspect -f '{{.Name}}' nosuch
network inspect -f '{{.Foo}}' db_net net9
network inspect -f '{{.Name}} {{.IPAM}} {{.Options}} {{.Containers}}' bridge host
ps
ps -a
ps -aq
ps --no-trunc -a
ps -s
ps -as --format raw
ps -l
ps -n 2
ps -q --no-trunc
ps -f name=c
ps -a -f name=c
ps -f status=exited
ps -f status=created -f status=exited
ps -f status=foo
ps -f network=db_net
ps -a -f ancestor=alpine
ps -a -f ancestor=busybox:1.36
ps -a -f label=tier=back
ps -a -f before=c2
ps -a -f since=c2
ps -a -f before=nosuch
ps -a -f exited=0
ps -a -f exited=137
ps -a -f foo=bar
ps -aq --format raw
ps -aq --format '{{.Names}}'
ps -aq --format json
ps -aq --format table
ps -aq --format 'table {{.Names}}'
container ls -a
container ps
container list -q
inspect c1
inspect c1 c3
inspect c3 c4
inspect db_net
inspect c1 db_net nosuch
inspect nosuch
inspect --type container c1 nosuch
inspect --type container db_net
inspect --type network db_net c1
inspect -f '{{.Name}}' c1 db_net nosuch
container inspect c1 nosuch
container inspect -f '{{.State.Status}}' c1 c2 c3
network prune
container prune
"""


def lines_of(block: str) -> list[str]:
    """The lines of a block, each one a case."""
    return block.strip("\n").split("\n")
