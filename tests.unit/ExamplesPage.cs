using System.CommandLine;
using System.Text.RegularExpressions;
using Discobot.Features.CommandLine.Commands;
using Discobot.Features.Configuration;
using Discobot.Infrastructure.Config;
using Discobot.Tests.Fixtures;
using YamlDotNet.RepresentationModel;

namespace Discobot.Rules;

/// <summary>The examples fit together: what one part names, another has. That Compose runs its one is seen by the integration tests.</summary>
public sealed class ExamplesPage
{
    private static readonly string Top = Path.Combine(Checkout.Top(), "examples");
    private static readonly string[] Images = ["discobot:debian", "discobot:alpine", "discobot:fedora", "discobot:scratch"];

    private readonly List<YamlMappingNode> _gateway = Read("kubernetes/gateway.yaml");
    private readonly List<YamlMappingNode> _agent = Read("kubernetes/agent.yaml");

    private YamlMappingNode Deployment => _gateway.Single(d => Text(d, "kind") == "Deployment");

    private YamlMappingNode Pod => (YamlMappingNode)Deployment["spec"]["template"];

    private YamlMappingNode Service => _gateway.Single(d => Text(d, "kind") == "Service");

    private YamlMappingNode Container => (YamlMappingNode)Pod["spec"]["containers"][0];

    [Fact]
    public void Images_are_those_that_are_made_here()
    {
        var containers = _gateway.Concat(_agent).Append(Read("compose/compose.yaml")[0]).SelectMany(All).Where(node => node.Children.ContainsKey("image"));
        Assert.Equal(5, containers.Count());
        Assert.All(containers, container => Assert.Contains(Text(container, "image"), Images));
    }

    [Fact]
    public void The_gateways_files_are_configurations_without_a_mistake_and_its_words_are_a_command()
    {
        var map = _gateway.Single(d => Text(d, "kind") == "ConfigMap");
        string[] texts = [Text(map["data"], "gateway.yaml"), File.ReadAllText(Path.Combine(Top, "compose/gateway.yaml"))];
        foreach (var text in texts)
        {
            var settings = SettingsSources.Of(null, new Dictionary<string, string>()).Load(ConfigDocument.Parse(text, "gateway.yaml"));
            Assert.Equal("", settings.ErrorText());
            Assert.True(settings.Value!.Allowlist.Enabled);
        }

        var compose = (YamlMappingNode)Read("compose/compose.yaml")[0]["services"]["gateway"];
        foreach (var words in (string[][])[[.. Words(Container["command"]), .. Words(Container["args"])], [.. Words(compose["entrypoint"]), .. Words(compose["command"])]])
        {
            Assert.Equal("discobot", words[0]);
            Assert.Empty(RootCommands.Create().Parse(words[1..]).Errors);
            Assert.Contains("/etc/discobot/gateway.yaml", words);
        }

        Assert.Equal("/etc/discobot", Mounts(Container)["config"]);
        Assert.Equal("/.data", Mounts(Container)["data"]);
    }

    [Fact]
    public void Ports_are_those_that_it_listens_at_and_every_part_names_the_same()
    {
        var settings = ProxySettings.Default("/.data/proxy");
        int[] listens = [settings.Proxy.Port, settings.Api.Port, settings.Gateway.DnsPort, .. settings.Gateway.Ports];
        var container = List(Container["ports"]).Select(p => (Name: Text(p, "name"), Port: Text(p, "containerPort"), Protocol: Text(p, "protocol", "TCP"))).ToList();
        Assert.Equal(listens.Order(), container.Select(p => int.Parse(p.Port, null)).Distinct().Order());
        Assert.Contains(container, p => p is { Port: "53", Protocol: "UDP" });
        Assert.Equal(container, List(Service["spec"]["ports"]).Select(p => (Text(p, "targetPort"), Text(p, "port"), Text(p, "protocol", "TCP"))));
        var policy = Policy("discobot-agents")["spec"]["egress"][0];
        Assert.Equal(container.Select(p => (p.Port, p.Protocol)).Order(), List(policy["ports"]).Select(p => (Text(p, "port"), Text(p, "protocol", "TCP"))).Order());
        foreach (var probe in (string[])["readinessProbe", "livenessProbe"])
            Assert.Equal(("/health", "api"), (Text(Container[probe]["httpGet"], "path"), Text(Container[probe]["httpGet"], "port")));
    }

    [Fact]
    public void Selectors_claims_and_addresses_lead_to_what_is_there()
    {
        var labels = Pairs(Pod["metadata"]["labels"]);
        Assert.Equal(labels, Pairs(Deployment["spec"]["selector"]["matchLabels"]));
        Assert.Equal(labels, Pairs(Service["spec"]["selector"]));
        Assert.Equal(labels, Pairs(Policy("discobot-gateway")["spec"]["podSelector"]["matchLabels"]));
        Assert.Equal(labels, Pairs(Policy("discobot-agents")["spec"]["egress"][0]["to"][0]["podSelector"]["matchLabels"]));
        var agents = Pairs(Policy("discobot-agents")["spec"]["podSelector"]["matchLabels"]);
        Assert.Equal(agents, Pairs(_agent[0]["metadata"]["labels"]));
        Assert.Equal(agents, Pairs(Policy("discobot-gateway")["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]));
        Assert.Equal(["Ingress", "Egress"], Words(Policy("discobot-agents")["spec"]["policyTypes"]));
        Assert.Single(List(Policy("discobot-agents")["spec"]["egress"]));

        var address = Text(Service["spec"], "clusterIP");
        Assert.Equal([address], Words(_agent[0]["spec"]["dnsConfig"]["nameservers"]));
        Assert.Equal("None", Text(_agent[0]["spec"], "dnsPolicy"));
        Assert.Contains($"http://{address}:17081/ca.crt", Words(_agent[0]["spec"]["initContainers"][0]["command"])[^1], StringComparison.Ordinal);
        Assert.Equal(Name(_gateway.Single(d => Text(d, "kind") == "PersistentVolumeClaim")), Text(List(Pod["spec"]["volumes"]).Single(v => Text(v, "name") == "data")["persistentVolumeClaim"], "claimName"));
        foreach (var pod in (YamlNode[])[Pod["spec"], _agent[0]["spec"]])
        {
            var volumes = List(pod["volumes"]).Select(v => Text(v, "name")).ToList();
            Assert.Empty(List(pod["containers"]).SelectMany(c => Mounts((YamlMappingNode)c).Keys).Except(volumes));
            Assert.Equal("true", Text(pod["securityContext"], "runAsNonRoot"));
        }
    }

    [Fact]
    public void The_composed_agent_is_in_the_internal_network_alone_and_asks_the_gateway()
    {
        var compose = Read("compose/compose.yaml")[0];
        var (gateway, agent) = (compose["services"]["gateway"], compose["services"]["agent"]);
        Assert.Equal(["agents"], Words(agent["networks"]));
        Assert.Equal("true", Text(compose["networks"]["agents"], "internal"));
        var address = Text(gateway["networks"]["agents"], "ipv4_address");
        Assert.Equal([address], Words(agent["dns"]));
        Assert.True(System.Net.IPNetwork.Parse(Text(compose["networks"]["agents"]["ipam"]["config"][0], "subnet")).Contains(System.Net.IPAddress.Parse(address)));
        Assert.Contains(address, File.ReadAllText(Path.Combine(Top, "compose/agent.sh")), StringComparison.Ordinal);
        Assert.DoesNotContain("environment", ((YamlMappingNode)agent).Children.Keys.Select(key => key.ToString()));
        foreach (var volume in Words(gateway["volumes"]).Concat(Words(agent["volumes"])).Where(v => v.StartsWith("./", StringComparison.Ordinal)))
            Assert.True(File.Exists(Path.Combine(Top, "compose", volume.Split(':')[0])), volume);
    }

    [Fact]
    public void The_page_of_the_gateway_names_files_that_are_there()
    {
        var links = Regex.Matches(File.ReadAllText(Path.Combine(Top, "../docs/gateway.md")), @"\]\((\.\./examples/[^)]+)\)").Select(m => m.Groups[1].Value).ToList();
        Assert.NotEmpty(links);
        Assert.All(links, link => Assert.True(File.Exists(Path.Combine(Top, "../docs", link)), link));
    }

    private static List<YamlMappingNode> Read(string file)
    {
        var stream = new YamlStream();
        using var text = new StreamReader(Path.Combine(Top, file));
        stream.Load(text);
        return [.. stream.Documents.Select(d => (YamlMappingNode)d.RootNode)];
    }

    private YamlMappingNode Policy(string name) => _gateway.Single(d => Text(d, "kind") == "NetworkPolicy" && Name(d) == name);

    private static string Name(YamlNode node) => Text(node["metadata"], "name");

    private static string Text(YamlNode node, string key, string fallback = "") =>
        ((YamlMappingNode)node).Children.TryGetValue(key, out var value) ? value.ToString() : fallback;

    private static YamlSequenceNode List(YamlNode node) => (YamlSequenceNode)node;

    private static string[] Words(YamlNode node) => [.. List(node).Select(word => word.ToString())];

    private static Dictionary<string, string> Pairs(YamlNode node) => ((YamlMappingNode)node).Children.ToDictionary(p => p.Key.ToString(), p => p.Value.ToString());

    private static Dictionary<string, string> Mounts(YamlMappingNode container) => List(container["volumeMounts"]).ToDictionary(m => Text(m, "name"), m => Text(m, "mountPath"));

    private static IEnumerable<YamlMappingNode> All(YamlNode node) => node switch
    {
        YamlMappingNode mapping => [mapping, .. mapping.Children.Values.SelectMany(All)],
        YamlSequenceNode list => list.SelectMany(All),
        _ => [],
    };
}
