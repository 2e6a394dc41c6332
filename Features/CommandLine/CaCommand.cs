using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using Discobot.Features.Certificates;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.CommandLine;

/// <summary><c>discobot ca show|rotate</c>: the CA of the proxy, and a new one in its place.</summary>
internal static class CaCommand
{
    public static Command Create()
    {
        var directory = CertDirectoryOption.Create();
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var show = new Command("show", "Show the CA that clients have to trust.") { directory, json };
        show.SetAction(parsed => Show(parsed.GetValue(directory)!, parsed.GetValue(json), parsed.InvocationConfiguration));
        var rotate = new Command("rotate", "Make a new CA; the old pair is kept beside it.") { directory, json };
        rotate.SetAction(parsed => Rotate(parsed.GetValue(directory)!, parsed.GetValue(json), parsed.InvocationConfiguration));
        return new Command("ca", "The certificate authority that signs what intercepted clients see.") { show, rotate };
    }

    private static int Show(string directory, bool json, InvocationConfiguration console)
    {
        try
        {
            using var authority = CertificateAuthority.Load(directory, TimeProvider.System, out var fault);
            if (authority is null)
                return Fail($"{fault}; `discobot proxy` makes a CA when it starts", console);
            Print(Report(authority, null), json, console);
            return ExitCode.Fine;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Fail(e.Message, console);
        }
    }

    private static int Rotate(string directory, bool json, InvocationConfiguration console)
    {
        try
        {
            using var authority = CertificateAuthority.Rotate(directory, TimeProvider.System, NullLogger.Instance, out var kept);
            Print(Report(authority, kept), json, console);
            console.Error.WriteLine(
                "The proxy shows the new CA after a restart. Until it is trusted everywhere the old one was, HTTPS fails there: restart "
                + "the container or run `discobot trust install`, and install it again on hosts where that was done by hand.");
            return ExitCode.Fine;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Fail(e.Message, console);
        }
    }

    private static CaReport Report(CertificateAuthority authority, IReadOnlyList<string>? kept) => new(
        authority.CertificatePath,
        authority.Fingerprint,
        authority.Certificate.Subject,
        authority.Certificate.SerialNumber,
        authority.Certificate.NotBefore.ToUniversalTime(),
        authority.Certificate.NotAfter.ToUniversalTime(),
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
        foreach (var file in report.Kept ?? [])
            console.Output.WriteLine($"kept         {file}");
    }

    private static int Fail(string reason, InvocationConfiguration console)
    {
        console.Error.WriteLine($"discobot ca: {reason}");
        return ExitCode.Failed;
    }
}

/// <param name="Path">Where the certificate is.</param>
/// <param name="Sha256">Fingerprint, lower-case hex.</param>
/// <param name="Kept">After a rotation: where the old files are now.</param>
internal sealed record CaReport(
    string Path, string Sha256, string Subject, string Serial, DateTime NotBefore, DateTime NotAfter, IReadOnlyList<string>? Kept);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    WriteIndented = true)]
[JsonSerializable(typeof(CaReport))]
internal sealed partial class CaJson : JsonSerializerContext;
