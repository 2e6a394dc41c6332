namespace Discobot.Features.Configuration;

public sealed class WorkspaceFileTests
{
    private static string Errors(string yaml) => WorkspaceFile.Read(yaml, "workspace").ErrorText();

    [Fact]
    public void The_built_in_text_and_its_like_are_good()
    {
        Assert.Equal("", Errors(DefaultConfiguration.Text()));
        Assert.Equal("", Errors("headers: {a.com: {set: {X-Token: \"env:TOKEN\"}}}\nlogging: {file: /.data/proxy/log}\nproxy: {listen: [\"::1\"]}"));
    }

    [Fact]
    public void It_names_no_files_of_the_container_and_opens_nothing_to_the_network() => Assert.Equal(
        """
        workspace:1:18: proxy.listen[0]: must be a loopback address in a workspace's file, as in 127.0.0.1
        workspace:2:19: api.token_file: must not be the proxy's configuration, nor lie among its certificates or its cache, in a workspace's file
        workspace:3:17: tls.cert_dir: must lie below /.data/proxy in a workspace's file
        workspace:3:34: tls.extra_ca[0]: must lie below /.data/proxy in a workspace's file
        workspace:4:14: cache.dir: must lie below /.data/proxy in a workspace's file
        workspace:5:17: logging.file: must not be the proxy's configuration, nor lie among its certificates or its cache, in a workspace's file
        workspace:6:28: headers.a.com.set.X: must not name a file in a workspace's file; env:NAME takes it from the container's environment
        workspace:7:20: socks.users.u: must not name a file in a workspace's file; env:NAME takes it from the container's environment
        """.Replace("headers.a.com", "headers.\"a.com\"", StringComparison.Ordinal),
        Errors(
            """
            proxy: {listen: [0.0.0.0]}
            api: {token_file: /.data/proxy/config.yaml}
            tls: {cert_dir: /etc, extra_ca: [/.data/proxy/../../etc/shadow]}
            cache: {dir: /.data/proxy}
            logging: {file: /.data/proxy/cache/x/../y}
            headers: {a.com: {set: {X: "file:/.data/proxy/certs/ca.key"}}}
            socks: {users: {u: "file:/etc/shadow"}}
            """));

    [Fact]
    public void Ordinary_mistakes_are_told_too() => Assert.Equal("workspace:1:9: proxy.prot: unknown key; did you mean \"port\"?; known here: "
        + "api_port, drain_limit, listen, port, read_timeout, upstream, upstream_timeout, write_timeout", Errors("proxy: {prot: 1}"));
}
