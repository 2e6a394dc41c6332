namespace Discobot.Features.Init;

public sealed class HealthGateTests
{
    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\",\"pid\":42}", true)]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\n{\"pid\":42,\"status\":\"ok\"}\r\n0\r\n\r\n", true)]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\",\"pid\":43}", false)]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\"}", false)]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n{\"pid\":\"42\"}", false)]
    [InlineData("HTTP/1.1 503 Unavailable\r\n\r\n{\"pid\":42}", false)]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n{\"pid\":42", false)]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n}{", false)]
    [InlineData("SSH-2.0-OpenSSH", false)]
    [InlineData("", false)]
    public void Only_a_200_that_names_the_process_counts(string answer, bool healthy) => Assert.Equal(healthy, HealthGate.Names(answer, 42));
}
