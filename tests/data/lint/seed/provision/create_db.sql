CREATE ROLE dockerworkshop WITH LOGIN SUPERUSER PASSWORD 'dockerworkshop';
CREATE DATABASE dockerworkshop OWNER dockerworkshop;
