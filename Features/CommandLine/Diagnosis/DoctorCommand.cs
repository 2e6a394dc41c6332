using System.CommandLine;
using System.Text;
using System.Text.Json;
using Discobot.Features.Egress;
using Discobot.Features.Init;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.CommandLine.Diagnosis;

/// <summary><c>discobot doctor</c>: what works in this container, what does not, and what to do about it.</summary>
internal static class DoctorCommand
{
    private const string UsualUrl = "https://example.com/";

    public static Command Create()
    {
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var url = new Option<string?>("--url")
        {
            Description = $"The page that the clients fetch, http:// or https:// [{UsualUrl}]. Choose one that the allowlist allows.",
            HelpName = "URL",
        };
        url.Validators.Add(given =>
        {
            if (given.Tokens is [{ Value: var text }] && !(Uri.TryCreate(text, UriKind.Absolute, out var page) && page is { Scheme: "http" or "https", Host.Length: > 0 }))
                given.AddError($"--url must be a page, as in {UsualUrl}, not \"{text}\"");
        });
        var api = new RunningApi();
        var command = new Command("doctor", "Check this container: steps, ports, trust, and whether its clients get through the proxy and whether anything gets past it; elsewhere the proxy "
            + "that runs. Exit code 1 when anything fails.")
        {
            json,
            url,
        };
        api.AddTo(command);
        command.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            var chosen = await DoctorSubject.FindAsync(api, parsed, cancellation);
            var findings = await RunAsync(
                new SeenProxy(chosen.State, chosen.IsContainers, parsed.GetValue(url) ?? UsualUrl, parsed.GetValue(url) is not null) { IsUntold = DoctorSubject.IsUntold(api, parsed) },
                stop => DoctorSubject.FindHostAsync(api, parsed, stop), stop => DoctorSubject.FindMissingAsync(api, parsed, stop),
                stop => DoctorSubject.FindSharedAsync(api, parsed, stop), cancellation);
            await DoctorSubject.LeaveAsync(api, parsed, Json(findings), cancellation);
            parsed.InvocationConfiguration.Output.Write(parsed.GetValue(json) ? Json(findings) : Table(findings));
            return findings.Any(f => f.Works == false) ? ExitCode.Failed : ExitCode.Fine;
        }));
        return command;
    }

    private static async Task<IReadOnlyList<Finding>> RunAsync(
        SeenProxy proxy, Func<CancellationToken, Task<string?>> suggest, Func<CancellationToken, Task<IReadOnlyList<string>?>> missing,
        Func<CancellationToken, Task<SharedDirectory?>> shared, CancellationToken cancellation)
    {
        using var spawner = new Spawner();
        var paths = new ContainerPaths();
        var path = Environment.GetEnvironmentVariable("PATH") ?? "/usr/local/bin:/usr/bin:/bin";
        var environment = ByteText.OwnEnvironment();
        var (authority, found) = await DoctorSubject.AuthorityAsync(proxy.State, cancellation);
        using var lease = authority;
        var trust = DoctorSubject.Trust(paths, proxy, authority, found);
        var network = new DoctorNetwork(paths, proxy, suggest);
        var led = new Lazy<Task<bool>>(() => network.IsLedAsync(authority?.Subject ?? "", cancellation));
        var agent = proxy.IsContainers ? Agent(paths) : null;
        var clients = new DoctorClients(new ToolRun(spawner), path, paths, proxy, trust, _ => led.Value, agent);
        string[] attempts = [Environment.ProcessPath!, AttemptsCommand.Name, .. proxy.State.Probe.SelectMany(address => new[] { "--to", address })];
        var egress = new DoctorEgress(Mode(proxy.State.Egress), new ToolRun(spawner), attempts, agent);
        var seen = new SeenContainer(paths, environment, () => InitCommand.Refused(paths, environment));
        return await new Doctor(seen, proxy, trust, network, clients, egress, missing, shared).RunAsync(cancellation);
    }

    private static EgressMode? Mode(string? word) => word switch
    {
        "open" => EgressMode.Open,
        "redirect" => EgressMode.Redirect,
        "enforce" => EgressMode.Enforce,
        _ => null,
    };

    private static UserRecord? Agent(ContainerPaths paths)
    {
        var name = Environment.GetEnvironmentVariable("AGENT_USER") is { Length: > 0 } set ? set : "discobot";
        return Libc.GetUser() == 0 ? new UserDatabase(paths.Etc).Find(name) : null;
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
