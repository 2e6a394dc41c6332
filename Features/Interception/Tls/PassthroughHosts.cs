using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Interception.Tls;

/// <summary>Hosts whose tunnels are not opened (<c>tls.passthrough</c>): for clients that pin a certificate.</summary>
internal sealed record PassthroughHosts(HostSet Hosts);
