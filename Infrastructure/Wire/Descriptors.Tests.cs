using System.Net.Sockets;

namespace Discobot.Infrastructure.Wire;

public sealed class DescriptorsTests
{
    [Theory]
    [InlineData(1024, 224)]
    [InlineData(65_536, 16_352)]
    [InlineData(100, 16)]
    [InlineData(ulong.MaxValue, 1 << 20)]
    public void As_many_clients_are_served_as_there_are_descriptors_for(ulong limit, int clients) => Assert.Equal(clients, Descriptors.MostClients(limit));

    [Theory]
    [InlineData(SocketError.TooManyOpenSockets, true)]
    [InlineData(SocketError.NoBufferSpaceAvailable, true)]
    [InlineData(SocketError.ConnectionAborted, false)]
    [InlineData(SocketError.ConnectionReset, false)]
    public void What_accept_says_when_nothing_is_left_is_told_from_a_client_that_left(SocketError error, bool exhausted) =>
        Assert.Equal(exhausted, Descriptors.AreExhausted(new SocketException((int)error)));
}
