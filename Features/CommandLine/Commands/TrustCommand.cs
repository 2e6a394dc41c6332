using System.CommandLine;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.Json.Serialization;
using Discobot.Features.Certificates;
using Discobot.Features.TrustStore;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot trust install|remove|status</c>: the proxy's CA in this machine's trust store.</summary>
internal static class TrustCommand
{
    /// <param name="root">Where the file system begins; only for the machine's own is root asked for.</param>
    /// <param name="executable">Our own, by which the distribution's tool is started.</param>
    public static Command Create(string root = "/", string executable = Spawner.OwnExecutable) => new("trust", "The proxy's CA in this machine's trust store.")
    {
        Verb("install", "Make this machine trust the CA; needs root.", (root, executable), needsRoot: true, (store, ca, cancellation) =>
            store.InstallAsync(ca ?? throw NoAuthority(), cancellation)),
        Verb("remove", "Take every CA of discobot out again; needs root.", (root, executable), needsRoot: true, (store, ca, cancellation) =>
            store.RemoveAsync(ca, cancellation)),
        Verb("status", "Say whether this machine trusts the CA; exit code 1 if not.", (root, executable), needsRoot: false, (store, ca, _) =>
            Task.FromResult(store.Status(ca ?? throw NoAuthority()))),
    };

    private delegate Task<TrustStatus> Act(SystemTrustStore store, X509Certificate2? authority, CancellationToken cancellation);

    private static Command Verb(string name, string description, (string Root, string Executable) machine, bool needsRoot, Act act)
    {
        var directory = new CertDirectoryOption(asksProxy: !needsRoot);
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command(name, description) { json };
        directory.AddTo(command);
        command.SetAction(async (parsed, cancellation) =>
        {
            var console = parsed.InvocationConfiguration;
            FileMasks.Close();
            if (needsRoot && machine.Root == "/" && !Environment.IsPrivilegedProcess)
            {
                await console.Error.WriteLineAsync($"discobot trust {name}: only root may change the trust store; run it as root (sudo)");
                return ExitCode.Usage;
            }

            return await RunningApi.RunAsync(parsed, async () =>
            {
                var path = Path.Combine(await directory.FindAsync(parsed, cancellation), "ca.crt");
                using var served = await directory.ServedAsync(parsed, cancellation);
                using var kept = File.Exists(path) ? CertificateAuthority.ReadCertificate(path) : null;
                var isRotated = served is not null && kept is not null && served.Thumbprint != kept.Thumbprint;
                if (isRotated && name == "install")
                    throw new IOException($"{path} has a new CA, and the proxy goes on with the old one until it is restarted: restart it first, else nothing here could verify it");
                return await RunAsync(name, isRotated ? served : kept, parsed.GetValue(json), machine, act, console, cancellation);
            });
        });
        return command;
    }

    private static IOException NoAuthority() => new("there is no CA yet; `discobot proxy` makes one when it starts");

    private static async Task<int> RunAsync(
        string name, X509Certificate2? authority, bool json, (string Root, string Executable) machine, Act act, InvocationConfiguration console, CancellationToken cancellation)
    {
        var status = await act(new SystemTrustStore(new ToolOutput(console.Error), machine.Root, executable: machine.Executable), authority, cancellation);
        Print(status, authority, json, console);
        var asWanted = name == "remove" ? !status.Trusted && status.Problem is null : status.Trusted;
        return asWanted ? ExitCode.Fine : ExitCode.Failed;
    }

    private static void Print(TrustStatus status, X509Certificate2? authority, bool json, InvocationConfiguration console)
    {
        var fingerprint = authority is null ? null : PemCertificates.Fingerprint(authority);
        if (json)
        {
            var report = new TrustReport(
                status.Trusted, status.Changed, status.Family, status.Bundle, status.Anchor, fingerprint, status.Problem);
            console.Output.WriteLine(JsonSerializer.Serialize(report, TrustJson.Default.TrustReport));
            return;
        }

        console.Output.WriteLine(status.Message);
        if (fingerprint is not null)
            console.Output.WriteLine($"sha256  {fingerprint}");
        if (status.Anchor is not null)
            console.Output.WriteLine($"anchor  {status.Anchor}");
    }

    /// <summary>Shows what the distribution's tool prints, beside our own answer.</summary>
    private sealed class ToolOutput(TextWriter errors) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel))
                return;
            errors.WriteLine(formatter(state, exception));
        }
    }
}

/// <param name="Sha256">Fingerprint of the CA, lower-case hex.</param>
internal sealed record TrustReport(
    bool Trusted, bool Changed, string Family, string? Bundle, string? Anchor, string? Sha256, string? Problem);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true)]
[JsonSerializable(typeof(TrustReport))]
internal sealed partial class TrustJson : JsonSerializerContext;
