using System.Diagnostics;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>
/// The clients of package registries, each time as on a new machine: the second installation brings no body, the third one needs no registry. npm and pip
/// are tried in containers, too (<c>PackageTests</c>).
/// </summary>
public sealed class PackageClientsTests : IAsyncLifetime, IDisposable
{
    private const string Node = """
        export NODE_EXTRA_CA_CERTS=$CA npm_config_cafile=$CA npm_config_fetch_retries=0
        echo '{"name": "x", "license": "MIT"}' >package.json

        """;

    // pnpm and yarn come from npm's registry (build/clients.sh), which may be away: then they are not tried, as that script says.
    private static readonly string FromNpm = Path.Combine(Checkout.Top(), "artifacts/clients");

    private static readonly Dictionary<string, (string Ecosystem, string Script)> Clients = new()
    {
        ["npm"] = ("npm", Node + "npm install --registry $ORIGIN/npm/ --no-audit --no-fund --no-update-notifier upper >/dev/null; node -p 'require(\"upper\")'"),
        ["yarn"] = ("npm", Node + "$CLIENTS/yarn add --registry $ORIGIN/npm/ --cache-folder .yarn --no-progress --silent upper; node -p 'require(\"upper\")'"),
        ["pnpm"] = ("npm", Node + "$CLIENTS/pnpm add --registry $ORIGIN/npm/ --store-dir .store --reporter silent upper; node -p 'require(\"upper\")'"),
        // What the first installation wrote down of the hashes has to be met by the others.
        ["go"] = ("go", """
            export SSL_CERT_FILE=$CA GOPROXY=$ORIGIN/go GONOSUMDB='*' GOFLAGS='-mod=mod -modcacherw'
            printf 'module here.test/x\n\ngo 1.16\n\nrequire example.test/upper v1.0.0\n' >go.mod
            [ ! -f ../go.sum ] || cp ../go.sum .
            go list -m -versions example.test/upper | grep -qx 'example.test/upper v1.0.0'
            go mod download; cp go.sum ..; test -f go/pkg/mod/example.test/lower@v1.0.0/a.go; echo installed
            """),
        // What is stable since 1.68 older ones call a feature of the nightly builds.
        ["cargo"] = ("crates", """
            export CARGO_HTTP_CAINFO=$CA
            case $(cargo --version) in "cargo 1.6"[0-7].*|"cargo 0."*) export RUSTC_BOOTSTRAP=1; set -- -Z sparse-registry;; esac
            mkdir -p src .cargo; echo >src/lib.rs
            printf '[package]\nname = "x"\nversion = "1.0.0"\n[dependencies]\nupper = { version = "1", registry = "here" }\n' >Cargo.toml
            printf '[registries.here]\nindex = "sparse+%s/crates/index/"\n' $ORIGIN >.cargo/config.toml
            cargo fetch -q "$@"; test -f .cargo/registry/src/*/lower-1.0.0/Cargo.toml; echo installed
            """),
        ["gem"] = ("gem", """
            export SSL_CERT_FILE=$CA
            gem install --norc --clear-sources --source $ORIGIN/gem/ --install-dir gems --no-document -q upper >/dev/null
            GEM_PATH=$HOME/gems ruby -e 'gem "upper"; require "upper"; require "lower"'; echo installed
            """),
        ["bundle"] = ("gem", """
            export SSL_CERT_FILE=$CA BUNDLE_PATH=$HOME/gems BUNDLE_SILENCE_ROOT_WARNING=1
            printf 'source "%s/gem"\ngem "upper"\n' $ORIGIN >Gemfile
            bundle install --quiet; test -f gems/ruby/*/gems/lower-1.0.0/lib/lower.rb; echo installed
            """),
        // What extends Maven is fetched before anything is built, with all that it needs; the parent is the newest of a range.
        ["mvn"] = ("maven", """
            export MAVEN_OPTS='-XX:TieredStopAtLevel=1 -XX:+UseSerialGC'
            keytool -importcert -noprompt -alias ca -file $CA -keystore trust -storepass changeit >/dev/null 2>&1
            printf '<settings><proxies><proxy><protocol>https</protocol><host>127.0.0.1</host><port>%s</port></proxy></proxies>' ${https_proxy##*:} >settings.xml
            printf '<mirrors><mirror><id>m</id><mirrorOf>*</mirrorOf><url>%s/maven</url></mirror></mirrors></settings>' $ORIGIN >>settings.xml
            cat >pom.xml <<'END'
            <project><modelVersion>4.0.0</modelVersion>
            <parent><groupId>test.example</groupId><artifactId>parent</artifactId><version>[1.0,2.0)</version><relativePath/></parent>
            <artifactId>x</artifactId><version>1</version><packaging>pom</packaging>
            <build><extensions><extension><groupId>test.example</groupId><artifactId>upper</artifactId><version>1.0</version></extension></extensions></build></project>
            END
            mvn -q -B -s settings.xml -Duser.home=$HOME -Dmaven.repo.local=repo -Djavax.net.ssl.trustStore=trust -Djavax.net.ssl.trustStorePassword=changeit validate >out || { cat out; exit 1; }
            test -f repo/test/example/lower/1.0/lower-1.0.jar; echo installed
            """),
        // It installs nothing here: what is downloaded is what it would.
        ["apt"] = ("apt", """
            mkdir -p etc state/lists/partial cache/archives/partial; : >status
            printf 'deb [signed-by=%s/work/archive.gpg arch=amd64] %s/apt stable main\n' $REGISTRY $ORIGIN >sources
            apt() { apt-get -qq -o Dir::Etc=$HOME/etc -o Dir::Etc::SourceList=$HOME/sources -o Dir::State=$HOME/state -o Dir::State::status=$HOME/status -o Dir::Cache=$HOME/cache \
              -o APT::Architecture=amd64 -o APT::Architectures::=amd64 -o APT::Sandbox::User=root -o Acquire::https::CaInfo=$CA -o Acquire::Languages=none -o Acquire::Retries=0 -o Debug::NoLocking=1 "$@"; }
            apt update; apt install -y --download-only upper >/dev/null 2>&1; test -f cache/archives/lower_1.0_all.deb; echo installed
            """),
    };

    // Longer than any of them takes on a machine that is busy with other things.
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    private readonly PackageRegistry _registry = new();
    private readonly string _homes = Directory.CreateTempSubdirectory("discobot-clients-").FullName;
    private TestParent _parent = null!;
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;

    public async Task InitializeAsync()
    {
        // It knows every name: some clients send nothing of localhost through a proxy.
        _parent = TestParent.Start();
        _proxy = await RunningProxy.StartAsync(proxySection: $", upstream: 'http://127.0.0.1:{_parent.Port}'");
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["packages.test"]), _registry.AnswerAsync);
    }

    public async Task DisposeAsync()
    {
        await _parent.DisposeAsync();
        await _proxy.DisposeAsync();
        await _origin.DisposeAsync();
    }

    public void Dispose()
    {
        _registry.Dispose();
        Directory.Delete(_homes, recursive: true);
    }

    [Theory]
    [InlineData("npm")]
    [InlineData("yarn")]
    [InlineData("pnpm")]
    [InlineData("go")]
    [InlineData("cargo")]
    [InlineData("gem")]
    [InlineData("bundle")]
    [InlineData("mvn")]
    [InlineData("apt")]
    public async Task The_second_installation_brings_no_body_and_the_third_needs_no_registry(string client)
    {
        if (client is "yarn" or "pnpm" && File.Exists(Path.Combine(FromNpm, "absent")))
            return;
        await _registry.MakeAsync(Origin, Clients[client].Ecosystem);

        await InstallAsync(client, "first");
        Assert.True(Bodies() >= 4, Asked());

        _registry.Asked.Clear();
        await InstallAsync(client, "second");
        Assert.True(Bodies() == 0, Asked());
        Assert.Contains(_registry.Asked, line => line.StartsWith("304 ", StringComparison.Ordinal));

        // Nobody can be connected to, and the proxy is another.
        await _parent.DisposeAsync();
        await _origin.DisposeAsync();
        await _proxy.EndAsync();
        await _proxy.BeginAsync();
        _registry.Asked.Clear();
        await InstallAsync(client, "third");
        Assert.Empty(_registry.Asked);
        Assert.Contains("cache answers with what was stored", await File.ReadAllTextAsync(_proxy.LogFile), StringComparison.Ordinal);
    }

    private string Origin => $"https://packages.test:{_origin.HttpsPort}";

    private int Bodies() => _registry.Asked.Count(line => line.StartsWith("200 GET", StringComparison.Ordinal));

    private string Asked() => string.Join('\n', _registry.Asked);

    private async Task InstallAsync(string client, string time)
    {
        var home = Directory.CreateDirectory(Path.Combine(_homes, time)).FullName;
        var start = new ProcessStartInfo("/bin/sh", ["-ec", $"exec 2>&1\n{Clients[client].Script}"]) { RedirectStandardOutput = true, RedirectStandardInput = true, WorkingDirectory = home };
        var proxy = $"http://127.0.0.1:{_proxy.Port}";
        // rustup's cargo is looked for where its owner has it.
        var rustup = Environment.GetEnvironmentVariable("RUSTUP_HOME") ?? Path.Combine(Environment.GetEnvironmentVariable("HOME") ?? "/root", ".rustup");
        foreach (var name in start.Environment.Keys.Where(name => name != "PATH").ToList())
            start.Environment.Remove(name);
        foreach (var (name, value) in new[]
        {
            ("HOME", home), ("CA", Path.Combine(Path.GetDirectoryName(_proxy.LogFile)!, "certs/ca.crt")), ("ORIGIN", Origin), ("REGISTRY", _registry.Directory),
            ("CLIENTS", Path.Combine(FromNpm, "node_modules/.bin")), ("RUSTUP_HOME", rustup),
            // Bundler takes the one for http for both.
            ("https_proxy", proxy), ("HTTPS_PROXY", proxy), ("http_proxy", proxy),
        })
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        using var limit = new CancellationTokenSource(Limit);
        try
        {
            var output = await process.StandardOutput.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            Assert.True(process.ExitCode == 0 && output.EndsWith("installed\n", StringComparison.Ordinal), $"{client}, {time}: {output}\n{Asked()}");
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }
}
