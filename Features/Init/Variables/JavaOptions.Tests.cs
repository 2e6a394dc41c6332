namespace Discobot.Features.Init.Variables;

public sealed class JavaOptionsTests
{
    [Fact]
    public void Java_is_told_of_the_trust_store_the_proxy_and_the_exceptions()
        => Assert.Equal(
            "-Djavax.net.ssl.trustStore=/var/lib/discobot/java-cacerts.p12 -Djavax.net.ssl.trustStoreType=PKCS12 "
            + "-Dhttp.proxyHost=localhost -Dhttp.proxyPort=17080 -Dhttps.proxyHost=localhost -Dhttps.proxyPort=17080 "
            + "-Dhttp.nonProxyHosts=localhost|127.0.0.1|[::1]|corp.example|*.corp.example",
            JavaOptions.Value(17080, ["localhost", "127.0.0.1", "::1", ".corp.example", "10.0.0.0/8"], null));

    [Fact]
    public void What_the_container_says_already_comes_last_and_counts()
        => Assert.EndsWith(" -Xmx1g -Dhttp.proxyPort=1", JavaOptions.Value(17080, [], "-Xmx1g -Dhttp.proxyPort=1"), StringComparison.Ordinal);
}
