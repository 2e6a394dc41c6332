using System.Text.Json;

namespace Discobot.Features.Init;

public sealed class DockerConfigTests
{
    [Fact]
    public void What_the_image_says_stays_and_the_mtu_is_added()
        => Assert.Equal("""{"insecure-registries":["r:5000"],"mtu":1400}""",
            DockerConfig.Merge("""{"insecure-registries": ["r:5000"]}""", 1400).ToJsonString());

    [Theory]
    [InlineData("""{"mtu":9000}""", 1400, """{"mtu":9000}""")]
    [InlineData("", 1400, """{"mtu":1400}""")]
    [InlineData("  \n", null, "{}")]
    public void An_mtu_in_the_file_counts(string text, int? mtu, string expected) => Assert.Equal(expected, DockerConfig.Merge(text, mtu).ToJsonString());

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    public void What_is_no_object_is_an_error_and_not_overwritten(string text)
        => Assert.ThrowsAny<JsonException>(() => DockerConfig.Merge(text, 1400));

    [Fact]
    public void The_interface_is_that_of_the_default_route_whatever_it_is_called()
    {
        const string Header = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
        Assert.Equal("ens3", DockerConfig.DefaultInterface(
            [Header, "eth0\t0011A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0", "ens3\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0"]));
        Assert.Null(DockerConfig.DefaultInterface([Header]));
    }
}
