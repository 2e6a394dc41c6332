using Discobot.Infrastructure.Native;

namespace Discobot.Features.Egress.Nftables;

/// <summary>
/// The table <c>inet discobot</c> of a gateway that its clients' default route leads to. Whatever they send elsewhere ends here: TCP at the
/// transparent entry, questions for names at the resolver, and the rest is refused. Nothing is forwarded, in either direction, also after the gateway was
/// killed (Linux 6.9): a machine that forwards would let out everything.
/// </summary>
internal sealed class GatewayTable : IDisposable
{
    private readonly NftTable _table = new("discobot");

    /// <summary>Leads what comes by the interfaces to us.</summary>
    /// <param name="interfaces">Where the clients are.</param>
    /// <param name="entryPort">Where redirected connections are served, at our addresses on those interfaces.</param>
    /// <param name="dnsPort">Where questions are answered, at the same.</param>
    /// <exception cref="LibcException">EPERM without CAP_NET_ADMIN in this network namespace; nothing was changed.</exception>
    public void Lead(IReadOnlyCollection<string> interfaces, ushort entryPort, ushort dnsPort) => _table.Replace(
    [
        new NftChain("redirect", "nat", NftTable.Arriving, -101, interfaces.SelectMany(name => Redirections(name, entryPort, dnsPort))),
        new NftChain("refuse", "filter", NftTable.Arriving, 0, interfaces.SelectMany(name =>
            (NftRule[])[Pretence(name), new NftRule().ArrivedBy(name).ToElsewhere().Count().Reject()])),
        Passing(interfaces),
    ], outlives: true);

    /// <summary>Only sees to it that nothing is forwarded.</summary>
    /// <exception cref="LibcException">As above.</exception>
    public void Close(IReadOnlyCollection<string> interfaces) => _table.Replace(
        [new NftChain("refuse", "filter", NftTable.Arriving, 0, interfaces.Select(Pretence)), Passing(interfaces)], outlives: true);

    public void Dispose() => _table.Dispose();

    // What a client sends from an address of the world outside would be answered there.
    private static NftRule Pretence(string name) => new NftRule().ArrivedBy(name).FromAnotherSide().Count().Drop();

    private static NftChain Passing(IEnumerable<string> interfaces) => new("pass", "filter", NftTable.Forward, 0, interfaces.SelectMany(name =>
        (NftRule[])[new NftRule().ArrivedBy(name).Count().Reject(), new NftRule().LeavingBy(name).Count().Reject()]));

    private static IEnumerable<NftRule> Redirections(string name, ushort entryPort, ushort dnsPort)
    {
        yield return new NftRule().ArrivedBy(name).ToThisMachine().Accept();
        yield return new NftRule().ArrivedBy(name).Udp().ToPort(53).Redirect(dnsPort);
        yield return new NftRule().ArrivedBy(name).Tcp().ToPort(53).Redirect(dnsPort);
        yield return new NftRule().ArrivedBy(name).Tcp().Count().Redirect(entryPort);
    }
}
