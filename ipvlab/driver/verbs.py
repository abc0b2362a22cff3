"""Docker's commands as far as a lab has them: usage lines, options and numbers of arguments (28.2)."""

from __future__ import annotations

import dataclasses

from ipvlab.driver import flag_values as values
from ipvlab.driver.flags import Verb, declare
from ipvlab.spec.values import Dialect

_FORMAT = {"format": "f"}
_FILTERED = {"filter": values.check_filter}
_CONTAINERS = "[OPTIONS] CONTAINER [CONTAINER...]"
_IMAGE = "[OPTIONS] IMAGE [COMMAND] [ARG...]"

#: What ``run`` and ``create`` share. Most of it has no effect on a container of a lab.
_CONTAINER_OPTIONS = """
add-host+ annotation+ attach+ blkio-weight^ blkio-weight-device+ cap-add+ cap-drop+ cgroup-parent= cgroupns=
cidfile= cpu-count# cpu-percent# cpu-period# cpu-quota# cpu-rt-period# cpu-rt-runtime# cpu-shares# cpus=
cpuset-cpus= cpuset-mems= device+ device-cgroup-rule+ device-read-bps+ device-read-iops+ device-write-bps+
device-write-iops+ disable-content-trust! dns+ dns-option+ dns-search+ domainname= entrypoint= env+ env-file+
expose+ gpus+ group-add+ health-cmd= health-interval~ health-retries# health-start-interval~
health-start-period~ health-timeout~ hostname= init! interactive! io-maxbandwidth@ io-maxiops^ ip= ip6= ipc=
isolation= kernel-memory@ label+ label-file+ link+ link-local-ip+ log-driver= log-opt+ mac-address= memory@
memory-reservation@ memory-swap@ memory-swappiness# mount+ name= network+ network-alias+ no-healthcheck!
oom-kill-disable! oom-score-adj# pid= pids-limit# platform= privileged! publish+ publish-all! pull= quiet!
read-only! restart= rm! runtime= security-opt+ shm-size@ stop-signal= stop-timeout# storage-opt+ sysctl+
tmpfs+ tty! ulimit+ use-api-socket! user= userns= uts= volume+ volume-driver= volumes-from+ workdir=
"""
_CONTAINER_SHORT = {
    "attach": "a", "cpu-shares": "c", "env": "e", "hostname": "h", "interactive": "i", "label": "l",
    "memory": "m", "publish": "p", "publish-all": "P", "quiet": "q", "tty": "t", "user": "u", "volume": "v",
    "workdir": "w",
}  # fmt: skip
_CONTAINER_SPELLED = {"net": "network", "net-alias": "network-alias", "dns-opt": "dns-option"}
_CONTAINER_CHECKS = {
    "add-host": values.check_extra_host,
    "attach": values.check_stream,
    "cpus": values.check_decimal,
    "dns": values.check_address,
    "env": values.check_env,
    "label": values.check_label,
    "network": values.check_network,
    "sysctl": values.check_sysctl,
    "ulimit": values.check_ulimit,
}

VERBS: tuple[Verb, ...] = (
    Verb(
        "docker network create",
        "[OPTIONS] NETWORK",
        declare(
            "attachable! aux-address+ config-from= config-only! driver= gateway* ingress! internal! "
            "ip-range* ipam-driver= ipam-opt+ ipv4! ipv6! label+ opt+ scope= subnet*",
            short={"driver": "d", "opt": "o"},
            checks={"label": values.check_label},
        ),
        maximum=1,
    ),
    Verb(
        "docker network ls",
        "[OPTIONS]",
        declare("filter+ format= no-trunc! quiet!", short={"filter": "f", "quiet": "q"}, checks=_FILTERED),
        minimum=0,
        maximum=0,
        aliases=("docker network list",),
    ),
    Verb(
        "docker network inspect",
        "[OPTIONS] NETWORK [NETWORK...]",
        declare("format= verbose!", short=_FORMAT | {"verbose": "v"}),
    ),
    Verb(
        "docker network rm",
        "NETWORK [NETWORK...]",
        declare("force!", short={"force": "f"}),
        aliases=("docker network remove",),
    ),
    Verb(
        "docker network connect",
        "[OPTIONS] NETWORK CONTAINER",
        declare("alias* driver-opt* gw-priority# ip= ip6= link+ link-local-ip*"),
        minimum=2,
        maximum=2,
    ),
    Verb(
        "docker network disconnect",
        "[OPTIONS] NETWORK CONTAINER",
        declare("force!", short={"force": "f"}),
        minimum=2,
        maximum=2,
    ),
    Verb(
        "docker network prune",
        "[OPTIONS]",
        declare("filter+ force!", short={"force": "f"}, checks=_FILTERED),
        minimum=0,
        maximum=0,
    ),
    Verb(
        "docker run",
        _IMAGE,
        declare(
            f"detach! detach-keys= sig-proxy! {_CONTAINER_OPTIONS}",
            short=_CONTAINER_SHORT | {"detach": "d"},
            spelled=_CONTAINER_SPELLED,
            checks=_CONTAINER_CHECKS,
        ),
        is_interspersed=False,
        aliases=("docker container run",),
    ),
    Verb(
        "docker create",
        _IMAGE,
        declare(
            _CONTAINER_OPTIONS,
            short=_CONTAINER_SHORT,
            spelled=_CONTAINER_SPELLED,
            checks=_CONTAINER_CHECKS,
        ),
        is_interspersed=False,
        aliases=("docker container create",),
    ),
    Verb(
        "docker exec",
        "[OPTIONS] CONTAINER COMMAND [ARG...]",
        declare(
            "detach! detach-keys= env+ env-file+ interactive! privileged! tty! user= workdir=",
            short={"detach": "d", "env": "e", "interactive": "i", "tty": "t", "user": "u", "workdir": "w"},
            checks={"env": values.check_env},
        ),
        minimum=2,
        is_interspersed=False,
        aliases=("docker container exec",),
    ),
    Verb(
        "docker ps",
        "[OPTIONS]",
        declare(
            "all! filter+ format= last# latest! no-trunc! quiet! size!",
            short={"all": "a", "filter": "f", "last": "n", "latest": "l", "quiet": "q", "size": "s"},
            checks=_FILTERED,
        ),
        minimum=0,
        maximum=0,
        aliases=("docker container ls", "docker container list", "docker container ps"),
    ),
    Verb(
        "docker rm",
        _CONTAINERS,
        declare("force! link! volumes!", short={"force": "f", "link": "l", "volumes": "v"}),
        aliases=("docker container rm", "docker container remove"),
    ),
    Verb(
        "docker stop",
        _CONTAINERS,
        declare("signal= timeout#", short={"signal": "s", "timeout": "t"}, deprecated={"time": "timeout"}),
        aliases=("docker container stop",),
    ),
    Verb(
        "docker restart",
        _CONTAINERS,
        declare("signal= timeout#", short={"signal": "s", "timeout": "t"}, deprecated={"time": "timeout"}),
        aliases=("docker container restart",),
    ),
    Verb(
        "docker start",
        _CONTAINERS,
        declare(
            "attach! checkpoint= checkpoint-dir= detach-keys= interactive!",
            short={"attach": "a", "interactive": "i"},
        ),
        aliases=("docker container start",),
    ),
    Verb(
        "docker kill",
        _CONTAINERS,
        declare("signal=", short={"signal": "s"}),
        aliases=("docker container kill",),
    ),
    Verb(
        "docker rename",
        "CONTAINER NEW_NAME",
        minimum=2,
        maximum=2,
        aliases=("docker container rename",),
    ),
    Verb("docker wait", "CONTAINER [CONTAINER...]", aliases=("docker container wait",)),
    Verb(
        "docker logs",
        "[OPTIONS] CONTAINER",
        declare(
            "details! follow! since= tail= timestamps! until=",
            short={"follow": "f", "tail": "n", "timestamps": "t"},
        ),
        maximum=1,
        aliases=("docker container logs",),
    ),
    Verb(
        "docker attach",
        "[OPTIONS] CONTAINER",
        declare("detach-keys= no-stdin! sig-proxy!"),
        maximum=1,
        aliases=("docker container attach",),
    ),
    Verb(
        "docker inspect",
        "[OPTIONS] NAME|ID [NAME|ID...]",
        declare("format= size! type=", short=_FORMAT | {"size": "s"}),
    ),
    Verb(
        "docker container inspect",
        _CONTAINERS,
        declare("format= size!", short=_FORMAT | {"size": "s"}),
    ),
    Verb(
        "docker container prune",
        "[OPTIONS]",
        declare("filter+ force!", short={"force": "f"}, checks=_FILTERED),
        minimum=0,
        maximum=0,
    ),
    Verb("docker version", "[OPTIONS]", declare("format=", short=_FORMAT), minimum=0, maximum=0),
    Verb(
        "docker info",
        "[OPTIONS]",
        declare("format=", short=_FORMAT),
        minimum=0,
        maximum=0,
        aliases=("docker system info",),
    ),
)
#: Commands of docker that a lab has not: images, volumes, swarms and what belongs to them.
FOREIGN = frozenset(
    """
    build builder buildx checkpoint commit compose config context cp diff events export history image images
    import load login logout manifest node pause plugin port pull push rmi save search secret service stack
    stats swarm system tag top trust unpause update volume
    """.split()
)
#: The same below ``docker container``.
FOREIGN_OF_CONTAINER = frozenset("commit cp diff export pause port stats top unpause update".split())


#: Options that came after the client of 26.1 (docker/cli v28.0 to v28.3).
_SINCE_28 = frozenset({"ipv4", "gw-priority", "use-api-socket"})


def _as_of_26(verb: Verb) -> Verb:
    """A verb as the client of 26.1 has it: ``stop --time`` is not yet called ``--timeout``."""
    later = {flag.name for flag in verb.flags} & _SINCE_28
    flags = tuple(flag for flag in verb.flags if flag.name not in later)
    if any(flag.name == "timeout" for flag in flags):
        later.add("timeout")
        flags = tuple(
            dataclasses.replace(flag, short="t", instead="") if flag.name == "time" else flag
            for flag in flags
            if flag.name != "timeout"
        )
    return dataclasses.replace(verb, flags=flags, absent=frozenset(later), is_brief=True)


def find_verb(path: str, dialect: Dialect = Dialect.DOCS) -> tuple[Verb, str] | None:
    """The verb of a path (``docker container ps``), as the client then names it, and its first spelling.

    An alias of the last word only (``remove``, ``list``) is named by the group's own
    word: ``docker container remove`` complains as ``docker container rm``.
    """
    for verb in VERBS:
        if path == verb.path:
            return _of_client(verb, dialect), verb.path
        if path in verb.aliases:
            shown = path
            if path.rpartition(" ")[0] == verb.path.rpartition(" ")[0]:
                shown = verb.path
            elif path in ("docker container list", "docker container ps"):
                shown = "docker container ls"
            elif path == "docker container remove":
                shown = "docker container rm"
            return _of_client(dataclasses.replace(verb, path=shown), dialect), verb.path
    return None


def _of_client(verb: Verb, dialect: Dialect) -> Verb:
    return _as_of_26(verb) if dialect is Dialect.DOCKER_26 else verb
