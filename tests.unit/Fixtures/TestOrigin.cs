using System.Net;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discobot.Tests.Fixtures;

/// <summary>A real web server on loopback: one port with TLS, one without.</summary>
internal sealed class TestOrigin : IAsyncDisposable
{
    private readonly WebApplication _app;

    private TestOrigin(WebApplication app) => _app = app;

    public int HttpsPort { get; private set; }

    public int HttpPort { get; private set; }

    public string Https => $"https://localhost:{HttpsPort}";

    public string Http => $"http://localhost:{HttpPort}";

    public static async Task<TestOrigin> StartAsync(X509Certificate2 certificate, RequestDelegate answer, IPAddress? address = null, HttpProtocols cleartext = HttpProtocols.Http1)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.AddServerHeader = false;
            kestrel.Listen(address ?? IPAddress.Loopback, 0, listen => listen.UseHttps(certificate));
            kestrel.Listen(address ?? IPAddress.Loopback, 0, listen => listen.Protocols = cleartext);
        });
        var app = builder.Build();
        app.UseWebSockets();
        app.Run(answer);
        await app.StartAsync();
        var addresses = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses;
        return new TestOrigin(app)
        {
            HttpsPort = new Uri(addresses.Single(a => a.StartsWith("https", StringComparison.Ordinal))).Port,
            HttpPort = new Uri(addresses.Single(a => a.StartsWith("http:", StringComparison.Ordinal))).Port,
        };
    }

    public async ValueTask DisposeAsync()
    {
        using var hurry = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
        await _app.StopAsync(hurry.Token);
        await _app.DisposeAsync();
    }
}
