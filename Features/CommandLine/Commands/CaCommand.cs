using System.CommandLine;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.Json.Serialization;
using Discobot.Features.Certificates;
using Discobot.Infrastructure.Wire;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot ca show|rotate</c>: the CA of the proxy, and a new one in its place.</summary>
internal static class CaCommand
{
    public static Command Create()
    {
        return new Command("ca", "The certificate authority that signs what intercepted clients see.")
        {
            Verb("show", "Show the CA that clients have to trust.", new CertDirectoryOption(asksProxy: true), Show),
            Verb("rotate", "Make a new CA; the old pair is kept beside it.", new CertDirectoryOption(asksProxy: false), Rotate),
        };
    }

    private static Command Verb(string name, string description, CertDirectoryOption directory, Func<string, X509Certificate2?, bool, InvocationConfiguration, int> act)
    {
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command(name, description) { json };
        directory.AddTo(command);
        command.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            using var served = await directory.ServedAsync(parsed, cancellation);
            return act(await directory.FindAsync(parsed, cancellation), served, parsed.GetValue(json), parsed.InvocationConfiguration);
        }));
        return command;
    }

    private static int Show(string directory, X509Certificate2? served, bool json, InvocationConfiguration console)
    {
        var kept = Look(directory);
        // After a rotation, until the restart.
        var isOld = served is not null && PemCertificates.Fingerprint(served) != kept.Sha256;
        Print(isOld ? Report(kept.Path, served!, null) with { Next = kept.Sha256 } : kept, json, console);
        return ExitCode.Fine;
    }

    private static CaReport Look(string directory)
    {
        try
        {
            using var authority = CertificateAuthority.Load(directory, TimeProvider.System, out var fault);
            return authority is not null ? Report(authority.CertificatePath, authority.Certificate, null)
                : throw new IOException($"{fault}; `discobot proxy` makes a CA when it starts");
        }
        // The key is the proxy's alone.
        catch (UnauthorizedAccessException)
        {
            var path = Path.Combine(directory, "ca.crt");
            using var certificate = CertificateAuthority.ReadCertificate(path);
            return Report(path, certificate, null);
        }
    }

    private static int Rotate(string directory, X509Certificate2? served, bool json, InvocationConfiguration console)
    {
        if (!Path.Exists(Path.Combine(directory, "ca.crt")) && !Path.Exists(Path.Combine(directory, "ca.key")))
            throw new IOException($"there is no CA in {directory}, or this user may not look there; `discobot proxy` makes one when it starts");
        using var authority = CertificateAuthority.Rotate(directory, TimeProvider.System, NullLogger.Instance, out var kept);
        Print(Report(authority.CertificatePath, authority.Certificate, kept), json, console);
        console.Error.WriteLine(
            "The proxy goes on with the old CA until it is restarted, so trust the new one not before that. A container: restart it; its start does "
            + "the rest. Elsewhere: restart the proxy, then run `discobot trust install`. Then install it again on hosts where that was done by hand.");
        return ExitCode.Fine;
    }

    private static CaReport Report(string path, X509Certificate2 certificate, IReadOnlyList<string>? kept) => new(
        path,
        PemCertificates.Fingerprint(certificate),
        certificate.Subject,
        certificate.SerialNumber,
        certificate.NotBefore.ToUniversalTime(),
        certificate.NotAfter.ToUniversalTime(),
        kept);

    private static void Print(CaReport report, bool json, InvocationConfiguration console)
    {
        if (json)
        {
            console.Output.WriteLine(JsonSerializer.Serialize(report, CaJson.Default.CaReport));
            return;
        }

        console.Output.WriteLine($"certificate  {report.Path}");
        console.Output.WriteLine($"subject      {report.Subject}");
        console.Output.WriteLine($"sha256       {report.Sha256}");
        console.Output.WriteLine($"serial       {report.Serial}");
        console.Output.WriteLine($"valid        {report.NotBefore:u} to {report.NotAfter:u}");
        if (report.Next is { } next)
            console.Output.WriteLine($"next         sha256 {next}, in that file: the proxy takes it when it is restarted");
        foreach (var file in report.Kept ?? [])
            console.Output.WriteLine($"kept         {file}");
    }
}

/// <param name="Path">Where the certificate is.</param>
/// <param name="Sha256">Fingerprint, lower-case hex.</param>
/// <param name="Kept">After a rotation: where the old files are now.</param>
internal sealed record CaReport(
    string Path, string Sha256, string Subject, string Serial, DateTime NotBefore, DateTime NotAfter, IReadOnlyList<string>? Kept)
{
    /// <summary>Fingerprint of the CA in the file, where the proxy still signs with the one before.</summary>
    public string? Next { get; init; }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    WriteIndented = true)]
[JsonSerializable(typeof(CaReport))]
internal sealed partial class CaJson : JsonSerializerContext;
