using Discobot.Features.Certificates;

namespace Discobot.Features.Api;

/// <summary><c>GET /ca.crt</c>: the CA's certificate, for clients that bring their own list of authorities. It is no secret.</summary>
internal static class AuthorityEndpoint
{
    public const string Path = "/ca.crt";

    public static void MapAuthority(this IEndpointRouteBuilder endpoints)
    {
        var authority = endpoints.ServiceProvider.GetRequiredService<CertificateAuthority>();
        RequestDelegate answer = context =>
        {
            // What browsers and systems import by it, as PEM or DER.
            context.Response.ContentType = "application/x-x509-ca-cert";
            return context.Response.WriteAsync(authority.Certificate.ExportCertificatePem() + "\n", context.RequestAborted);
        };
        endpoints.MapGet(Path, answer);
    }
}
