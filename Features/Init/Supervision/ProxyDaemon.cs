using System.Text;
using Discobot.Features.Egress;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Supervision;

/// <summary>Starts the proxy as its own user, waits until it serves, and keeps it running. Without it the container works, uncached, unless an
/// operator's policy rules it.</summary>
/// <param name="container">Whose proxy it is.</param>
/// <param name="volume">Who it runs as.</param>
/// <param name="config">What it reads.</param>
/// <param name="trust">By what its clients can trust it.</param>
/// <param name="egress">The rules of the way out, whose mode it is told.</param>
internal sealed class ProxyDaemon(Container container, DataVolume volume, ConfigInForce config, ClientTrust trust, EgressRules egress)
{
    private const string SeenBinary = "/opt/discobot/bin/proxy";
    public const string SeenLog = "/.data/proxy/proxy.log";
    private readonly ClientProxy _proxy = new(container, config.Proxy, trust);

    // Somebody sits at the container's terminal: a line for each request would land in what they type.
    public static bool LogsToFile(ProxySummary proxy) => Libc.IsTerminal(0) == 1 && proxy.LogFile is null;

    public async Task<ClientProxy> RunAsync(CancellationToken cancellationToken)
    {
        if (!File.Exists(container.Paths.ProxyBinary))
        {
            container.Log.Info($"Proxy daemon not started: proxy binary not found at {SeenBinary}");
            FailWherePolicyRules();
            return _proxy;
        }

        container.Log.Info($"found proxy at {SeenBinary}, starting HTTP proxy...");
        if (LogsToFile(config.Proxy))
            container.Log.Info($"a terminal is attached, so the proxy's log goes to {SeenLog}");

        // Once more, where a disk or a machine was slow: whatever starts after this gets the environment of a proxy that serves, or of none.
        var child = await StartAsync(cancellationToken) ?? await StartAsync(cancellationToken);
        container.Running.Supervise("proxy", child, StartAsync, container.Log);
        if (child is null)
            FailWherePolicyRules();
        return _proxy;
    }

    private void FailWherePolicyRules()
    {
        if (Path.Exists(container.Paths.Policy))
            throw new StartupException($"{container.Paths.Policy} rules this container, which must not run without its proxy") { IsFatal = true };
    }

    private async Task<ChildProcess?> StartAsync(CancellationToken cancellationToken)
    {
        var token = Announce();
        string[] log = LogsToFile(config.Proxy) ? ["--log-file", container.Paths.In(SeenLog)] : [];
        var child = await container.Spawner.StartAsync(new Launch("proxy", [container.Paths.ProxyBinary, "-config", config.File, .. log])
        {
            User = volume.ProxyUser,
            Environment = Environment(token),
        });
        container.Running.Proxy = child;
        container.Log.Info($"proxy started (pid={child.Id}), waiting for health check...");
        var failure = await new HealthGate(config.Proxy.Port, config.Proxy.ApiPort).WaitAsync(child, token, cancellationToken);
        if (failure is null)
        {
            container.Log.Info($"HTTP proxy ready on port {config.Proxy.Port}");
            ShowShells();
            return child;
        }

        container.Log.Info($"proxy did not become ready: {failure}");
        await child.KillAsync();
        container.Running.Proxy = null;
        return null;
    }

    // The mode is the one in force, which may be another than the one that was asked for.
    private Dictionary<string, string> Environment(string token)
    {
        var environment = new Dictionary<string, string>(ProxyEnvironment.Without(container.Environment, config.Proxy.Port))
        {
            [StartToken.Variable] = token,
            ["DISCOBOT_EGRESS"] = EgressOptions.Word(egress.Mode),
        };
        // It is the one user who gets out and reads the authority's key: what programs of secrets.NAME.command find is what root's find.
        var untrusted = container.Untrusted(environment).Except([.. config.Proxy.SecretVariables, "PATH"]).ToList();
        if (untrusted.Count > 0)
            environment[UntrustedVariables.Variable] = UntrustedVariables.Of(untrusted);
        environment["PATH"] = container.RootPath;
        // Its roots are the system's, which it cannot read. The directory is named as well, since .NET reads the system's own beside the file.
        if (!trust.IsForAll && trust.Bundle is { } bundle && !environment.ContainsKey("SSL_CERT_FILE") && !environment.ContainsKey("SSL_CERT_DIR"))
            (environment["SSL_CERT_FILE"], environment["SSL_CERT_DIR"]) = (bundle, bundle + ".d");
        if (config.Proxy.PlaceholderSeed is var (name, seed))
            environment[name] = seed;
        return environment;
    }

    private void ShowShells()
    {
        if (container.Running.AgentApi is not null && !_proxy.Serves)
            container.Log.Warning("what runs already was started without the proxy's environment; new logins get it");
        _proxy.BeginServing();
        if (!_proxy.LeadsClients)
        {
            container.Log.Warning("no client is led to the proxy: there is no way by which they could trust it");
            return;
        }

        try
        {
            new ShellProfile(container).Write([.. _proxy.Variables(), .. config.Proxy.Placeholders]);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            container.Log.Warning($"login shells do not get the proxy's environment: {error.Message}");
        }
    }

    private string Announce()
    {
        var token = StartToken.Create();
        try
        {
            var file = container.Paths.In(StartToken.SeenFile);
            using var directory = DirectoryHandle.OpenTrusted(Directory.CreateDirectory(Path.GetDirectoryName(file)!).FullName);
            directory.WriteBytes(Path.GetFileName(file), Encoding.ASCII.GetBytes(token), 0x1A4 /* 0644 */, new Owner(Libc.GetUser(), Libc.GetUserGroup()));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            container.Log.Warning($"`discobot health` cannot tell this container's proxy from another's: {error.Message}");
        }

        return token;
    }

    /// <summary>Whether there is a program. Whether it serves is asked of its ports.</summary>
    public static Finding Check(SeenContainer seen)
        => SeenContainer.Step("proxy binary", File.Exists(seen.Paths.ProxyBinary), seen.Paths.ProxyBinary, "ln -s discobot /opt/discobot/bin/proxy in the image");
}
