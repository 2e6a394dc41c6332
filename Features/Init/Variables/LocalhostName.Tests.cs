namespace Discobot.Features.Init.Variables;

public sealed class LocalhostNameTests
{
    [Fact]
    public void Localhost_leaves_the_IPv6_address_and_its_other_names_stay()
        => Assert.Equal(
            "127.0.0.1\tlocalhost\n::1\tip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n",
            LocalhostName.Rewrite("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n"));

    [Fact]
    public void A_line_that_would_have_no_name_goes()
        => Assert.Equal("127.0.0.1 localhost\n10.0.0.2 box\n", LocalhostName.Rewrite("127.0.0.1 localhost\n::1 localhost # v6\n10.0.0.2 box\n"));

    [Theory]
    [InlineData("10.0.0.2 box\n")]
    [InlineData("#127.0.0.1 localhost\n")]
    [InlineData("")]
    public void A_missing_IPv4_localhost_is_put_first(string text) => Assert.Equal("127.0.0.1 localhost\n" + text, LocalhostName.Rewrite(text));

    [Theory]
    [InlineData("127.0.0.1 localhost\n")]
    [InlineData("# comment\n127.0.0.1 a localhost\n::1 ip6-loopback\n10.0.0.2 box")]
    public void A_good_file_stays_as_it_is(string text) => Assert.Equal(text, LocalhostName.Rewrite(text));
}
