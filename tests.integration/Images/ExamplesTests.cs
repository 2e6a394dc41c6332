using System.Diagnostics;
using System.Text.Json;
using Discobot.Integration.Fixtures;
using Discobot.Integration.Init;
using YamlDotNet.RepresentationModel;

namespace Discobot.Integration.Images;

/// <summary>examples/github-actions, systemd and devcontainer, each run by its own words with the executable that ships; examples/compose, kubernetes and
/// grafana have tests of their own.</summary>
public sealed class ExamplesTests : IDisposable
{
    private static readonly string Folder = Path.Combine(Binary.Checkout, "examples");
    private static readonly JsonSerializerOptions WithComments = new() { ReadCommentHandling = JsonCommentHandling.Skip };
    private readonly string _directory = Directory.CreateTempSubdirectory("examples-").FullName;

    public void Dispose() => Directory.Delete(_directory, true);

    /// <summary>Step by step in one directory, as a runner does it, in a network of its own.</summary>
    [Fact]
    public async Task The_job_behind_the_proxy_reaches_what_its_policy_allows_and_tells_what_left()
    {
        var example = Path.Combine(Folder, "github-actions");
        File.Copy(Binary.Path, In("discobot"));
        File.Copy(Path.Combine(example, "policy.yaml"), In("policy.yaml"));
        await File.WriteAllTextAsync(In("agent.sh"), """
            #!/bin/sh
            openssl verify -CAfile "$SSL_CERT_FILE" "$DISCOBOT_DATA/ca.crt"
            curl -s -o answer -w 'said %{http_code}\n' http://forbidden.test/
            grep -o 'not in allowlist.domains' answer
            until grep -q forbidden.test .discobot/audit.jsonl; do sleep 0.1; done
            """);
        File.SetUnixFileMode(In("agent.sh"), (UnixFileMode)0b111_101_101);
        var job = Yaml(Path.Combine(example, "agent.yml"))["jobs"]["agent"];
        var steps = ((YamlSequenceNode)job["steps"]).Where(step => Has(step, "run")).Select(step => ((YamlScalarNode)step["run"]).Value!).ToArray();
        Assert.Equal(3, steps.Length);
        for (var i = 0; i < steps.Length; i++)
            await File.WriteAllTextAsync(In($"step{i}"), steps[i]);
        var (code, said) = await RunAsync($$"""
            unshare -n -p -f --mount-proc --kill-child sh -ec '
                ip link set lo up
                export {{Environment(job)}} GITHUB_ENV="$PWD/env" GITHUB_STEP_SUMMARY="$PWD/summary"; : > env
                for step in step0 step1 step2; do set -a; . ./env; set +a; bash --noprofile --norc -eo pipefail $step; done
                echo "audit of $(grep -c forbidden.test .discobot/audit.jsonl)"; cat summary'
            """);
        Assert.True(code == 0, said);
        Assert.Contains("/.discobot/ca.crt: OK\nsaid 403\nnot in allowlist.domains\n", said, StringComparison.Ordinal);
        Assert.Matches(@"audit of [1-9]\d*\n[\s\S]*forbidden\.test", said);
    }

    /// <summary>What `systemd-analyze verify` says of it, and its commands as the unit would start them: by a user who may write its directory alone.</summary>
    [Fact]
    public async Task The_unit_is_one_that_systemd_takes_and_its_commands_start_reload_and_stop_the_proxy()
    {
        var unit = await File.ReadAllTextAsync(Path.Combine(Folder, "systemd", "discobot.service"));
        string[] Commands(string key) => [.. unit.Split('\n').Where(line => line.StartsWith(key + "=", StringComparison.Ordinal)).Select(line => line[(key.Length + 1)..])];
        var (code, said) = await RunAsync($$"""
            unshare -m -n -p -f --mount-proc --kill-child sh -ec '
                ip link set lo up
                mkdir bin etc state; cp {{Binary.Path}} bin/discobot; cp {{Folder}}/systemd/policy.yaml etc/; chown 65534:65534 state
                cp {{Folder}}/systemd/discobot.service discobot.service
                mkdir -p /etc/discobot /var/lib/discobot
                mount --bind bin /usr/local/bin; mount --bind etc /etc/discobot; mount --bind state /var/lib/discobot
                systemd-analyze verify --man=no ./discobot.service
                as() { exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"; }
                cd /var/lib/discobot
                (as {{Commands("ExecStartPre").Single()}})
                as {{Commands("ExecStart").Single()}} & MAINPID=$!
                curl -sSf --retry 30 --retry-connrefused -o /dev/null http://localhost:17081/health
                {{string.Join("\n    ", Commands("ExecReload").Select(command => $"(as {command})"))}}
                curl -s -o /dev/null -w "said %{http_code}\n" -x http://localhost:17080 http://forbidden.test/
                kill -TERM $MAINPID; wait $MAINPID || echo "ended with $?"
                ls /var/lib/discobot' 2>&1 | sed "s/^/| /"; exit ${PIPESTATUS[0]}
            """);
        Assert.True(code == 0, said);
        Assert.Contains("| said 403\n", said, StringComparison.Ordinal);
        Assert.DoesNotContain("ended with", said, StringComparison.Ordinal);
        // What systemd-analyze has to say of a unit stands behind the unit's name.
        Assert.DoesNotMatch(@"discobot\.service[:\[]", said);
        Assert.Contains("| audit.jsonl\n| cache\n| certs\n", said, StringComparison.Ordinal);
    }

    /// <summary>Built and started with what the files say, as the tools for development containers do it.</summary>
    [Fact]
    public async Task A_development_container_with_the_proxy_as_process_1_has_nothing_go_past_it()
    {
        var example = Path.Combine(Folder, "devcontainer", "plain", ".devcontainer");
        var file = JsonSerializer.Deserialize<JsonElement>(await File.ReadAllTextAsync(Path.Combine(example, "devcontainer.json")), WithComments);
        var name = $"discobot-devcontainer-{Guid.NewGuid():N}";
        await using var volume = await DataVolume.CreateAsync();
        var workspace = Directory.CreateDirectory(In("workspace")).FullName;
        CopyTo(example, Directory.CreateDirectory(Path.Combine(workspace, ".devcontainer")).FullName);
        await File.WriteAllTextAsync(Path.Combine(workspace, "mine"), "work\n");
        string Filled(string text) => text.Replace("${localWorkspaceFolder}", workspace, StringComparison.Ordinal)
            .Replace("discobot-${devcontainerId}", volume.Name, StringComparison.Ordinal).Replace("${devcontainerId}", "dev", StringComparison.Ordinal);
        IEnumerable<string> Texts(string key) => file.GetProperty(key).EnumerateArray().Select(item => Filled(item.GetString()!));
        Assert.False(file.GetProperty("overrideCommand").GetBoolean());
        string[] words =
        [
            "run", "-d", "--label", Engine.Label, "--name", name,
            .. file.GetProperty("containerEnv").EnumerateObject().SelectMany(one => new[] { "-e", $"{one.Name}={Filled(one.Value.GetString()!)}" }),
            .. Texts("mounts").Append(Filled(file.GetProperty("workspaceMount").GetString()!)).SelectMany(mount => new[] { "--mount", mount }),
            .. Texts("capAdd").SelectMany(capability => new[] { "--cap-add", capability }),
            .. Texts("securityOpt").SelectMany(option => new[] { "--security-opt", option }),
            name,
        ];
        try
        {
            Assert.True(await RunAsync($"DOCKER_BUILDKIT=0 docker build -q --label {Engine.Label} -t {name} -f {example}/{file.GetProperty("build").GetProperty("dockerfile").GetString()} {example}") is (0, _));
            var started = await RunAsync("docker " + string.Join(' ', words.Select(word => $"'{word}'")));
            Assert.True(started.Code == 0, started.Output);
            await ReadyAsync(name);
            var user = file.GetProperty("remoteUser").GetString();
            var (_, said) = await RunAsync($"""
                docker exec -u {user} -w {file.GetProperty("workspaceFolder").GetString()} {name} sh -c '
                    cat mine; id -un; cat /proc/1/comm
                    curl -s -m 9 -o /dev/null -w "said %{"{http_code}"}\n" http://forbidden.test/
                    env -u HTTP_PROXY -u http_proxy curl -s -m 9 -o /dev/null -w "past %{"{http_code}"}\n" http://192.0.2.1:8080/'
                """);
            Assert.Matches($@"^work\n{user}\ndiscobot\nsaid (403|000)\npast (403|000)\n$", said);
        }
        finally
        {
            await RunAsync($"docker rm -fv {name}; docker image rm {name}");
        }
    }

    [Fact]
    public async Task The_feature_for_development_containers_puts_the_proxy_beside_what_the_container_runs()
    {
        var example = Path.Combine(Folder, "devcontainer", "feature", "discobot");
        var file = JsonSerializer.Deserialize<JsonElement>(await File.ReadAllTextAsync(Path.Combine(example, "devcontainer-feature.json")));
        var name = $"discobot-feature-{Guid.NewGuid():N}";
        CopyTo(example, In("feature"));
        var bare = await RunAsync("cd feature && sh install.sh");
        Assert.True(bare is (1, _) && bare.Output.StartsWith("discobot-feature: put the executable ", StringComparison.Ordinal), bare.Output);
        File.Copy(Binary.Path, In("feature/discobot"));
        // As the tools make it of a feature's file: options are variables of install.sh, whose names are in capitals.
        var options = file.GetProperty("options").EnumerateObject().ToDictionary(option => option.Name.ToUpperInvariant(), option => option.Value.GetProperty("default").GetString()!);
        options["DOMAINS"] = "example.com,*.example.org";
        await File.WriteAllTextAsync(In("Dockerfile"), $"""
            FROM {Distro.Debian.Image}
            COPY feature /tmp/feature
            RUN cd /tmp/feature && {string.Join(' ', options.Select(option => $"{option.Key}='{option.Value}'"))} ./install.sh
            {string.Join('\n', file.GetProperty("containerEnv").EnumerateObject().Select(one => $"ENV {one.Name}={one.Value.GetString()}"))}
            ENTRYPOINT ["{file.GetProperty("entrypoint").GetString()}"]
            """);
        try
        {
            var built = await RunAsync($"DOCKER_BUILDKIT=0 docker build -q --label {Engine.Label} -t {name} .");
            Assert.True(built.Code == 0, built.Output);
            var (code, said) = await RunAsync($"""
                docker run --rm --label {Engine.Label} {name} sh -c '
                    curl -s -o answer -w "said %{"{http_code}"}\n" http://forbidden.test/; grep -o "not in allowlist.domains" answer
                    openssl verify "$NODE_EXTRA_CA_CERTS"; grep -o "example.org" /usr/local/share/discobot/policy.yaml'
                """);
            Assert.True(code == 0, said);
            Assert.Contains("said 403\nnot in allowlist.domains\n/var/lib/discobot/certs/ca.crt: OK\n", said, StringComparison.Ordinal);
        }
        finally
        {
            await RunAsync($"docker image rm {name}");
        }
    }

    private static async Task ReadyAsync(string name)
    {
        for (var watch = Stopwatch.StartNew(); ; await Task.Delay(100))
        {
            var (_, said) = await Shell.RunAsync($"docker logs {name} 2>&1");
            if (said.Contains("startup completed", StringComparison.Ordinal))
                return;
            Assert.True(watch.Elapsed < SessionContainer.Patience, said);
        }
    }

    private static YamlNode Yaml(string path)
    {
        var yaml = new YamlStream();
        using var reader = new StreamReader(path);
        yaml.Load(reader);
        return yaml.Documents.Single().RootNode;
    }

    private static string Environment(YamlNode job) => string.Join(' ', ((YamlMappingNode)job["env"]).Children
        .Select(one => $"{one.Key}=\"{one.Value}\"".Replace("${{ github.workspace }}", "$PWD", StringComparison.Ordinal)));

    private static bool Has(YamlNode node, string key) => ((YamlMappingNode)node).Children.ContainsKey(key);

    private static void CopyTo(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var file in Directory.EnumerateFiles(from))
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
    }

    private string In(string name) => Path.Combine(_directory, name);

    private Task<(int Code, string Output)> RunAsync(string script) => Shell.RunAsync(script, _directory);
}
