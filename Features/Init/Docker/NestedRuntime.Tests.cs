using System.Text.Json.Nodes;

namespace Discobot.Features.Init.Docker;

public sealed class NestedRuntimeTests
{
    private readonly NestedRuntime _runtime = new("/bundle.pem", "/ca.crt");

    [Fact]
    public void Who_has_the_proxy_gets_the_authorities_and_keeps_variables_of_its_own()
    {
        var container = Container("""["PATH=/bin", "HTTPS_PROXY=http://172.17.0.1:17080", "CURL_CA_BUNDLE=/mine"]""");
        Assert.True(_runtime.Complete(container));
        var environment = container["process"]!["env"]!.AsArray().Select(e => e!.GetValue<string>()).ToList();
        Assert.Contains("SSL_CERT_FILE=/dev/discobot-ca-bundle.crt", environment);
        Assert.Contains("NODE_EXTRA_CA_CERTS=/dev/discobot-ca.crt", environment);
        Assert.Equal("CURL_CA_BUNDLE=/mine", Assert.Single(environment, e => e.StartsWith("CURL_CA_BUNDLE", StringComparison.Ordinal)));
        Assert.Equal(
            ["/proc", "/dev/discobot-ca-bundle.crt", "/dev/discobot-ca.crt"],
            container["mounts"]!.AsArray().Select(m => m!["destination"]!.GetValue<string>()));

        var text = container.ToJsonString();
        Assert.False(_runtime.Complete(container));
        Assert.Equal(text, container.ToJsonString());
    }

    [Theory]
    [InlineData("""["PATH=/bin"]""")]
    [InlineData("[]")]
    public void Who_goes_out_directly_is_left_alone(string environment) => Assert.False(_runtime.Complete(Container(environment)));

    [Theory]
    [InlineData("""["PATH=/bin"]""")]
    [InlineData("[]")]
    [InlineData("null")]
    public void Where_the_network_leads_to_the_proxy_everybody_gets_them(string environment)
    {
        var container = Container(environment);
        Assert.True(new NestedRuntime("/bundle.pem", "/ca.crt", forAll: true).Complete(container));
        Assert.Contains("SSL_CERT_FILE=/dev/discobot-ca-bundle.crt", container["process"]!["env"]!.AsArray().Select(e => e!.GetValue<string>()));
        Assert.Equal(3, container["mounts"]!.AsArray().Count);
    }

    [Fact]
    public void The_description_is_found_and_written_where_the_arguments_say()
    {
        var bundle = Directory.CreateTempSubdirectory("bundle-").FullName;
        var file = Path.Combine(bundle, "config.json");
        foreach (var arguments in new[] { new[] { "--root", "/r", "create", "--bundle", bundle, "id" }, ["run", "-b", bundle, "id"], ["create", $"--bundle={bundle}", "id"] })
        {
            File.WriteAllText(file, Container("""["HTTPS_PROXY=x"]""").ToJsonString());
            _runtime.Prepare(arguments);
            Assert.Contains("discobot-ca.crt", File.ReadAllText(file), StringComparison.Ordinal);
        }

        File.WriteAllText(file, """{"env":["HTTPS_PROXY=x"]}""");
        _runtime.Prepare(["exec", "--process", file, "id"]);
        Assert.Contains("SSL_CERT_FILE", File.ReadAllText(file), StringComparison.Ordinal);
        Directory.Delete(bundle, true);
    }

    private static JsonObject Container(string environment)
        => JsonNode.Parse($$"""{"process":{"env":{{environment}}},"mounts":[{"destination":"/proc"}]}""")!.AsObject();
}
