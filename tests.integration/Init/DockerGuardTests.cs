using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

/// <summary>Docker inside a container whose way out is enforced: the real client, as the agent.</summary>
[Collection("own sessions")]
public sealed class DockerGuardTests(RunningSessions sessions)
{
    private const string MakeImage = """
        { for p in /bin/sh /bin/sleep /bin/cat /bin/true /bin/touch /bin/mknod /usr/bin/wc /usr/bin/env; do echo $p; ldd $p | grep -o '/[^ )]*'; done; echo /etc/passwd; } | sort -u | tar -chf - -T - 2>/dev/null | docker import - base >/dev/null
        """;

    private static readonly string[] Forbidden =
    [
        "run --privileged base true", "run --cap-add SYS_ADMIN base true", "run --cap-add NET_ADMIN base true", "run --net host --cap-add NET_ADMIN base true", "run --cap-add ALL base true", "run --net host base true",
        "run --network $(docker network ls -qf name=host) base true", "run --pid host base true", "run --ipc host base true", "run --uts host base true",
        "run --userns host base true", "run --cgroupns host base true", "run --device /dev/null base true", "run --device-cgroup-rule 'a *:* rwm' base true",
        "run --gpus all base true", "run --security-opt seccomp=unconfined base true", "run --security-opt apparmor=unconfined base true",
        "run --security-opt systempaths=unconfined base true", "run -v /:/h base true", "run -v /proc:/h base true", "run -v /sys:/h base true",
        "run -v /var/run/docker.sock:/h base true", "run -v /run/discobot:/h base true", "run -v /run/discobot/docker/docker.sock:/h base true", "run -v /home/discobot/../../etc:/h base true",
        "run --mount type=bind,source=/etc,target=/h base true", "run --mount type=bind,source=/tmp,target=/h,bind-propagation=rshared base true",
        "run --mount type=volume,target=/h,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=/etc base true",
        "volume create -o type=none -o o=bind -o device=/etc v", "run --cgroup-parent / base true", "run --runtime other base true",
        "run --oom-score-adj -500 base true", "run --log-driver syslog base true", "network create -d macvlan -o parent=eth0 m", "network create -d ipvlan -o parent=eth0 m", "network connect host held",
        "plugin install x", "swarm init", "swarm join 192.0.2.1:2377", "build --network host /tmp/context", "exec --privileged held true",
    ];

    private static readonly string[] Works =
    [
        "[ \"$(docker run --rm base cat /etc/passwd | head -c 4)\" = root ]",
        "[ \"$(echo hello | docker run -i --rm base cat)\" = hello ]",
        "[ \"$(head -c 300000000 /dev/zero | docker run -i --rm base wc -c)\" = 300000000 ]",
        "[ \"$(echo in | docker exec -i held cat)\" = in ]",
        "[ \"$(docker exec held sh -c 'echo out; echo err >&2' 2>/dev/null)\" = out ]",
        "docker exec held sh -c 'exit 7'; [ $? = 7 ]",
        "docker exec -d held true",
        "docker build -q -t built /tmp/context && [ \"$(docker run --rm built cat /c)\" = built ]",
        "mkdir -p d; echo file > d/f; ln -s f d/l; [ \"$(docker run --rm -v $PWD/d:/d base cat /d/l)\" = file ]",
        "[ \"$(docker run --rm -v /workspace/d:/d base cat /d/f)\" = file ]",
        "docker run --rm --mount type=bind,source=$PWD/d,target=/d base touch /d/g && [ -e d/g ]",
        "docker run --rm -v $PWD/fresh:/d base touch /d/g && [ -e fresh/g ]",
        "docker cp d held:/in && docker cp held:/in/f - >/dev/null",
        "docker logs held && docker inspect held >/dev/null && docker top held >/dev/null && docker stats --no-stream held >/dev/null",
        "docker info >/dev/null && docker version >/dev/null && docker system df >/dev/null && docker ps -a >/dev/null && docker images >/dev/null",
        "docker network create own && docker run --rm --network own base true && docker network connect own held && docker network disconnect own held && docker network rm own",
        "docker volume create vol && docker run --rm -v vol:/v base touch /v/x && docker volume rm vol",
        "docker run --rm --network container:held --pid container:held base true",
        "docker run --rm --tmpfs /t --cap-drop ALL --cap-add NET_RAW --ulimit nofile=99:99 --sysctl net.core.somaxconn=99 --memory 64m base true",
        "docker commit held image && docker tag image image:2 && docker rmi image:2",
        "docker pause held && docker unpause held && docker update --memory 64m --memory-swap 64m held && docker restart -t 0 held && docker rename held other && docker rename other held",
        "docker save base | docker load",
        "docker export held | tar -t >/dev/null",
        "timeout 2 docker logs -f held; [ $? = 124 ]",
        "timeout 2 docker events; [ $? = 124 ]",
        "docker pull registry.test/none 2>&1 | grep -q registry.test",
        "(sleep 1; docker kill held >/dev/null) & [ $(docker wait held) = 137 ]",
    ];

    [Fact]
    public async Task What_leads_out_of_the_container_is_refused_with_the_reason_and_the_rest_works()
    {
        await using var session = await StartAsync();
        var wrong = new List<string>();
        foreach (var command in Forbidden)
        {
            var (code, output) = await TryAsAgentAsync(session, $"docker {command}");
            if (code == 0 || !output.Contains("(docker.guard)", StringComparison.Ordinal))
                wrong.Add($"passed, or was refused by somebody else: {command}: {output}");
        }

        foreach (var command in Works)
        {
            var (code, output) = await TryAsAgentAsync(session, command);
            if (code != 0)
                wrong.Add($"failed: {command}: {output}");
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
        var log = await session.OutputAsync();
        Assert.Contains("blocked past=true entry=docker program=docker uid=1000 refused: Privileged", log, StringComparison.Ordinal);
    }

    /// <summary>What is looked at is not what is used later, when the agent has put a link in its place: dockerd follows none.</summary>
    [Fact]
    public async Task A_link_that_takes_the_place_of_a_mounted_directory_leads_nowhere()
    {
        await using var session = await StartAsync();
        const string Script = """
            ln -s /etc evil; mkdir swap
            docker run --rm -v $PWD/evil:/e base cat /e/shadow
            docker run --rm -v $PWD/evil/made:/e base true
            docker create --name later -v $PWD/swap:/s base cat /s/shadow
            rmdir swap; ln -s /etc swap
            docker start -a later
            docker cp later:/s/shadow -
            docker cp evil later:/s/made
            """;
        var (_, output) = await TryAsAgentAsync(session, Script);
        Assert.DoesNotContain("root:", output, StringComparison.Ordinal);
        Assert.NotEqual(0, (await session.TryAsync("ls", "-d", "/etc/made")).Code);
    }

    [Fact]
    public async Task Devices_of_a_nested_container_are_nothing_to_the_agent()
    {
        await using var session = await StartAsync();
        Assert.NotEqual(0, (await TryAsAgentAsync(session, "docker run --rm base mknod /x b 7 0")).Code);
        Assert.NotEqual(0, (await TryAsAgentAsync(session, "docker exec held mknod /x c 1 3")).Code);
        // Made by somebody else: within the agent's own directories it cannot be opened.
        await session.ShellAsync("mknod -m 666 /home/discobot/null c 1 3; mknod -m 666 /tmp/null c 1 3");
        Assert.NotEqual(0, (await TryAsAgentAsync(session, "cat /home/discobot/null")).Code);
        Assert.NotEqual(0, (await TryAsAgentAsync(session, "cat /tmp/null")).Code);
    }

    [Fact]
    public async Task The_daemons_own_socket_is_out_of_reach_and_both_come_back_when_they_are_killed()
    {
        await using var session = await StartAsync();
        Assert.NotEqual(0, (await TryAsAgentAsync(session, "curl -sS --unix-socket /run/discobot/docker/docker.sock http://docker/version")).Code);
        await session.ShellAsync("for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2>/dev/null | grep -q '^/proc/self/exe docker-guard ' && kill -9 ${p#/proc/}; done; true");
        await session.SeeAsync("Docker guard ready", 2);
        Assert.Equal(0, (await TryAsAgentAsync(session, "docker ps")).Code);
        await session.ShellAsync("kill -9 $(cat /var/run/docker.pid)");
        await session.SeeAsync("Docker daemon ready", 2);
        Assert.Equal(0, (await TryAsAgentAsync(session, "docker ps")).Code);
        Assert.Contains("(docker.guard)", (await TryAsAgentAsync(session, "docker run --privileged base true")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Somebody_elses_daemon_whose_socket_the_agent_may_open_ends_the_start()
    {
        await using var session = sessions.New(Distro.Debian, clients: false);
        session.Environment["DISCOBOT_EGRESS"] = "enforce";
        session.Prepare("mkdir -p /served; python3 -c 'import socket; s=socket.socket(socket.AF_UNIX); s.bind(\"/served/docker.sock\")'; chmod 666 /served/docker.sock; "
            + "touch /var/run/docker.sock; mount --bind /served/docker.sock /var/run/docker.sock");
        Assert.Equal(1, await session.RunAsync());
        Assert.Contains("docker.guard cannot be kept: /var/run/docker.sock is another daemon's", await session.OutputAsync(), StringComparison.Ordinal);
    }

    private static Task<(long Code, string Output)> TryAsAgentAsync(SessionContainer session, string script)
        => session.TryAsync("discobot", "exec", "--user", "discobot", "--drop-capabilities", "--no-new-privs", "--", "env", "HOME=/home/discobot", "sh", "-c", "cd /home/discobot/workspace; " + script);

    private async Task<SessionContainer> StartAsync()
    {
        var session = sessions.New(Distro.Debian, clients: false);
        session.Environment["DISCOBOT_EGRESS"] = "enforce";
        await session.StartAsync();
        await session.SeeAsync("startup completed");
        await session.ShellAsync(MakeImage + "\ndocker image inspect base >/dev/null; docker run -d --name held base sleep 1000 >/dev/null; mkdir /tmp/context; "
            + "printf 'FROM base\\nRUN echo built > /b && cat /b > /c\\n' > /tmp/context/Dockerfile; chmod -R a+rX /tmp/context");
        return session;
    }
}
