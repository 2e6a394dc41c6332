using System.CommandLine;
using System.Net;
using System.Text;
using System.Text.Json;
using Discobot.Features.Certificates;
using Discobot.Features.Init;
using Discobot.Features.TrustStore;
using Discobot.Infrastructure.Native;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot doctor</c>: what works in this container, what does not, and what to do about it.</summary>
internal static class DoctorCommand
{
    public static Command Create()
    {
        var json = new Option<bool>("--json") { Description = "Print JSON instead of a table." };
        var url = new Option<string>("--url") { Description = "The page that the clients fetch.", DefaultValueFactory = _ => "https://example.com/" };
        var command = new Command("doctor", "Check this container: steps, ports, trust, and whether its clients get through the proxy. 1 when anything fails.")
        {
            json,
            url,
        };
        command.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed,
            () => RunAsync(parsed.GetValue(json), parsed.GetValue(url)!, parsed.InvocationConfiguration.Output, cancellation)));
        return command;
    }

    private static async Task<int> RunAsync(bool asJson, string url, TextWriter output, CancellationToken cancellation)
    {
        using var spawner = new Spawner();
        var paths = new ContainerPaths();
        var path = Environment.GetEnvironmentVariable("PATH") ?? "/usr/local/bin:/usr/bin:/bin";
        var state = ChosenProxy.Find().State;
        var proxy = new ProxySummary { Port = state.Port, ApiPort = IPEndPoint.Parse(state.Api).Port, Init = new() { NestedDocker = state.NestedDocker } };
        var environment = ByteText.OwnEnvironment();
        var doctor = new Doctor(
            new SeenContainer(paths, environment, () => InitCommand.Refused(paths, environment)), proxy, () => Trust(paths),
            new DoctorNetwork(paths, proxy, url), new DoctorClients(new ToolRun(spawner), path, url, Agent(paths)));
        var findings = await doctor.RunAsync(cancellation);
        output.Write(asJson ? Json(findings) : Table(findings));
        return findings.Any(f => f.Works == false) ? ExitCode.Failed : ExitCode.Fine;
    }

    private static UserRecord? Agent(ContainerPaths paths)
    {
        var name = Environment.GetEnvironmentVariable("AGENT_USER") is { Length: > 0 } set ? set : "discobot";
        return Libc.GetUser() == 0 ? new UserDatabase(paths.Etc).Find(name) : null;
    }

    private static (bool Trusted, string Message) Trust(ContainerPaths paths)
    {
        using var authority = CertificateAuthority.ReadCertificate(paths.CaCertificate);
        var status = new SystemTrustStore(NullLogger.Instance).Status(authority);
        if (status.Trusted || new ClientBundle(paths.Bundles).Find() is not { } own || !BundleBlock.Holds(own, authority))
            return (status.Trusted, status.Message);
        return (true, $"{status.Message}; clients are pointed at {own}");
    }

    private static string Table(IReadOnlyList<Finding> findings)
    {
        var text = new StringBuilder();
        foreach (var f in findings)
        {
            var mark = f.Works switch { true => "ok", false => "FAIL", null => "-" };
            text.Append($"{mark,-5} {f.Area,-7} {f.Name,-16} {f.Detail}\n");
            if (f.Fix is not null)
                text.Append($"{"",-5} {"",-7} {"",-16} fix: {f.Fix}\n");
        }

        return text.ToString();
    }

    private static string Json(IReadOnlyList<Finding> findings)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartArray();
            foreach (var f in findings)
            {
                json.WriteStartObject();
                json.WriteString("area", f.Area);
                json.WriteString("name", f.Name);
                json.WriteString("result", f.Works switch { true => "ok", false => "failed", null => "absent" });
                json.WriteString("detail", f.Detail);
                json.WriteString("fix", f.Fix);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        return Encoding.UTF8.GetString(buffer.ToArray()) + "\n";
    }
}
