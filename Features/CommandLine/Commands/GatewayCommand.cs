using System.CommandLine;
using Discobot.Features.Allowlist;
using Discobot.Features.Configuration;
using Discobot.Features.Egress;
using Discobot.Features.Egress.Nftables;
using Discobot.Infrastructure.Native;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot gateway [--config FILE]</c>: the proxy as the only way out of a network whose containers have none of their own.</summary>
internal static class GatewayCommand
{
    public static Command Create()
    {
        var config = ProxyCommand.ConfigFile();
        Option<string?>[] overrides =
        [
            new("--listen") { Description = "Addresses or networks of this machine that are inside, with commas between them [those of every interface without a default route].", HelpName = "LIST" },
            new("--ports") { Description = "Ports at which connections arrive that name their host, beside 17080 [80,443].", HelpName = "LIST" },
            new("--dns-port") { Description = "Port at which names are answered [53].", HelpName = "PORT" },
            new("--egress") { Description = "redirect or enforce: what the resolver answers, and what passes that is neither HTTP nor TLS [$DISCOBOT_EGRESS].", HelpName = "MODE" },
            .. ProxyCommand.Overrides(),
        ];
        var routed = new Option<bool>("--routed") { Description = "The clients' default route leads here: whatever they send is redirected. Needs NET_ADMIN." };
        var command = new Command("gateway", "Run the proxy as the only way out of an internal network: beside 17080 it answers DNS with its own address and "
            + "takes what arrives there for any name.");
        config.AddTo(command);
        command.Options.Add(routed);
        foreach (var option in overrides)
            command.Options.Add(option);
        command.SetAction((parsed, cancellation) =>
        {
            var sources = ProxyCommand.SourcesOf(parsed, config, overrides);
            if (parsed.GetValue(routed))
                sources = sources with { Options = new Dictionary<string, string>(sources.Options) { [routed.Name] = "true" } };
            return ProxyCommand.RunAsync(sources, isGateway: true, cancellation);
        });
        return command;
    }

    /// <summary>What nobody has said: an allowlist binds everybody who has no other way out. Kept with the sources, so that a reload says the same.</summary>
    public static (SettingsSources Sources, ProxySettings Settings) Decide(SettingsSources sources, ProxySettings settings)
    {
        var mode = settings.ContainerEgress;
        return (sources with { Options = new Dictionary<string, string>(sources.Options) { ["--egress"] = EgressOptions.Word(mode) } },
            settings with { Egress = settings.Egress with { Mode = mode } });
    }

    /// <summary>Sees to it that what comes by the interfaces inside leaves only through us. The rules, where it takes any, last as long as what is
    /// returned.</summary>
    /// <param name="gateway">Where the clients are.</param>
    /// <param name="entryPort">Where what is redirected is served.</param>
    /// <exception cref="IOException">It cannot be seen to, or no interface is known.</exception>
    public static IDisposable? Close(Gateway gateway, int entryPort)
    {
        string[] interfaces = [.. gateway.Inside.Select(inside => inside.Interface).Where(name => name.Length > 0).Distinct()];
        if (gateway.Options.Routed && interfaces.Length == 0)
            throw new IOException("gateway.routed needs an interface inside, and gateway.listen names addresses that none has");
        if (!gateway.Options.Routed && (interfaces.Length == 0 || !InsideAddresses.IsForwarding() || !InsideAddresses.AreOthers(interfaces)))
            return null;
        var table = new GatewayTable();
        try
        {
            if (gateway.Options.Routed)
                table.Lead(interfaces, (ushort)entryPort, (ushort)gateway.Options.DnsPort);
            else
                table.Close(interfaces);
            return table;
        }
        catch (LibcException e)
        {
            table.Dispose();
            throw new IOException(gateway.Options.Routed
                ? $"gateway.routed cannot be kept: {e.Message}; run the container with --cap-add NET_ADMIN, or without --routed"
                : "packets are forwarded here (net.ipv4.ip_forward), so that agents could go past the gateway; run the container with "
                + "--sysctl net.ipv4.ip_forward=0 --sysctl net.ipv6.conf.all.forwarding=0, or with --cap-add NET_ADMIN so that the gateway refuses them", e);
        }
    }
}
