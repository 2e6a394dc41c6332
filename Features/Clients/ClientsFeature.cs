using Discobot.Infrastructure;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Wire;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Prometheus;

namespace Discobot.Features.Clients;

/// <summary>Who may use the proxy, and what each of them does.</summary>
internal static class ClientsFeature
{
    /// <param name="users">Nobody: everybody may, without a name, and nothing is counted.</param>
    public static IServiceCollection AddClients(this IServiceCollection services, IReadOnlyCollection<ProxyUser> users)
    {
        services.TryAddSingleton(new SecretFiles());
        services.AddPrometheus().AddSingleton(provider => new ProxyUsers(users, provider.GetRequiredService<SecretFiles>()));
        return users.Count == 0 ? services : services.AddSingleton<IFlowObserver, ClientMetrics>();
    }
}

/// <summary>What each client does. There are as many as the configuration names, and one for those without a name.</summary>
internal sealed class ClientMetrics(IMetricFactory metrics) : IFlowObserver
{
    private readonly Counter _flows = metrics.CreateCounter("discobot_client_flows_total", "Requests, tunnels and questions for names, by the client that is named in clients or socks.users, and by verdict.", ["client", "verdict"]);
    private readonly Counter _bytes = metrics.CreateCounter("discobot_client_bytes_total", "Bytes of bodies and tunnels, by client.", ["client", "direction"]);

    public void Ended(Flow flow)
    {
        var client = flow.ClientName ?? ProxyUsers.Unnamed;
        _flows.WithLabels(client, FlowWords.Of(flow.Verdict)).Inc();
        _bytes.WithLabels(client, "up").Inc(flow.RequestBytes);
        _bytes.WithLabels(client, "down").Inc(flow.ResponseBytes);
    }
}
